import BackupPolicy
import Names
import SQLitePages

/// One drill: restores a backup to scratch space, as a restore would, and queries the restored
/// database.
struct DrillRun {
  let repository: Repository
  let environment: EngineEnvironment
  let progress: Progress
  let request: DrillRequest
  private let engine: Engine
  private(set) var record: DrillRecord
  /// The full of the chain may have findings of SQLite's checks: it is the drilled backup itself,
  /// or it had findings before.
  private var fullIsFlawed = false
  /// The full of an incremental's chain, if it has no findings so far: it may never have been
  /// checked.
  private var full: StoredPoint?
  /// The findings of SQLite's checks in the database that was backed up.
  private(set) var findings: [String] = []

  /// The time limit of one assertion in milliseconds: a query of an hour would delay the next
  /// drill.
  static let patience = 300_000

  init(
    _ point: StoredPoint, _ request: DrillRequest, _ engine: Engine, _ repository: Repository,
    _ progress: Progress
  ) {
    self.engine = engine
    self.repository = repository
    self.request = request
    self.progress = progress
    environment = engine.environment
    record = DrillRecord(point, request.trigger, at: environment.now())
    record.host = environment.host
    record.sqliteVersion = DatabaseConnection.libraryVersion
    record.holdfastVersion = holdfastVersion
  }

  /// Runs the steps until one fails, and sets the results in ``record``.
  ///
  /// - Throws: errors that are not a drill's result: `interrupted`, and conditions that prevent a
  ///   drill (see ``DrillFault``).
  mutating func run(_ point: StoredPoint) throws {
    let begun = environment.monotonic()
    var step = DrillStep.restore
    do {
      // A drill is a check, so a missing archive is its result, as it is that of a verification.
      guard !point.archiveMissing else {
        throw HoldfastError(.verificationFailed, "the archive \(point.name.text) is missing")
      }
      let scratch = try engine.scratch(point, progress: progress)
      defer { scratch.close() }
      record.restoreMS = environment.monotonic() - begun
      record.subject.archives = scratch.chain.links.count
      fullIsFlawed = !point.isIncremental || scratch.chain.full.metadata.isFlawed
      full = scratch.chain.full
      record.subject.size = scratch.size
      record.add(.passed, DrillStep.restore.rawValue, restored(scratch))
      try check(point, scratch.connection, &step)
      record.checkMS = environment.monotonic() - begun - (record.restoreMS ?? 0)
    } catch {
      let fault = try DrillFault(error, progress)
      record.add(.failed, step.rawValue, fault.message)
      record.failure = .init(step: step, code: fault.code, message: fault.message)
    }
  }

  private func restored(_ scratch: ScratchPoint) -> String {
    let links = scratch.chain.links.count
    return "\(ByteCount(scratch.size)) from \(links) archive\(links == 1 ? "" : "s")"
  }

  private mutating func check(
    _ point: StoredPoint, _ connection: DatabaseConnection, _ step: inout DrillStep
  ) throws {
    let progress = progress
    var (run, current) = (self, step)
    defer { (record, findings, step) = (run.record, run.findings, current) }
    try connection.interrupted(when: { progress.isStopped }) {
      current = .integrity
      guard try run.checkIntegrity(connection) else { return }
      current = .rowCounts
      guard try run.countRows(of: point, connection) else { return }
      current = .assertions
      try run.ask(connection)
    }
  }

  // MARK: Steps; each returns whether to run the next one

  private mutating func checkIntegrity(_ connection: DatabaseConnection) throws -> Bool {
    try progress.update(.checking, 0, of: 1)
    let kind: IntegrityCheck.Kind = request.isQuick ? .quick : .full
    switch try IntegrityCheck.run(kind, on: connection) {
    case .passed: record.add(.passed, Check.Name.integrity, request.isQuick ? "the quick check" : nil)
    case .skipped(let needs): record.add(.skipped, Check.Name.integrity, "needs \(needs)")
    case .derivedDataDiffers(let messages):
      record.add(.warning, Check.Name.integrity, IntegrityCheck.derivedWords(messages))
    case .failed(let messages): guard try found(messages) else { return false }
    }
    switch try IntegrityCheck.run(.foreignKeys, on: connection) {
    case .passed: record.add(.passed, Check.Name.foreignKeys)
    case .failed(let messages), .derivedDataDiffers(let messages):
      record.add(.warning, Check.Name.foreignKeys, messages.joined(separator: "; "))
    case .skipped(let needs): record.add(.skipped, Check.Name.foreignKeys, "needs \(needs)")
    }
    return true
  }

  /// A full holds the database page for page, so its flaw was in the database. The content of an
  /// incremental also depends on the tracked pages, so a flaw that its full does not have counts
  /// against the chain.
  private mutating func found(_ messages: [String]) throws -> Bool {
    let words = messages.joined(separator: "; ")
    if !fullIsFlawed, let full { fullIsFlawed = try hasFlaw(full) }
    guard fullIsFlawed else { return fail(.integrity, Check.Name.integrity, words) }
    findings = messages
    record.add(.warning, Check.Name.integrity, "in the database that was backed up: \(words)")
    return true
  }

  /// The agent stores fulls without a check, so their metadata alone does not prove that they are
  /// sound.
  private func hasFlaw(_ full: StoredPoint) throws -> Bool {
    let scratch = try engine.scratch(full, progress: progress)
    defer { scratch.close() }
    let progress = progress
    let check = try scratch.connection.interrupted(when: { progress.isStopped }) {
      try IntegrityCheck.run(request.isQuick ? .quick : .full, on: scratch.connection)
    }
    if case .failed = check { return true }
    return false
  }

  private mutating func countRows(of point: StoredPoint, _ connection: DatabaseConnection) throws -> Bool {
    let name = DrillStep.rowCounts.rawValue
    guard let counts = point.metadata.tableCounts, !point.isIncremental else {
      record.add(
        .skipped, name,
        point.isIncremental ? "an incremental has no row counts" : "no rows were counted when it was stored")
      return true
    }
    var skipped: [String] = []
    let known = counts.compactMapValues { $0 }.sorted { $0.key < $1.key }
    for (number, (table, expected)) in known.enumerated() {
      try progress.update(.countingRows, Int64(number), of: Int64(known.count))
      let count: Int64
      switch try RowCount(of: table, on: connection) {
      case .rows(let found): count = found
      case .skipped(let reason):
        skipped.append("\(table): \(reason)")
        continue
      }
      guard count != expected else { continue }
      let difference = "\(table) has \(count) rows, but \(expected) rows were counted when the backup was stored"
      guard !findings.isEmpty else { return fail(.rowCounts, name, difference) }
      // The stored count came from the pages of a damaged b-tree, the new one from a query through
      // SQLite.
      record.add(.warning, name, difference)
      return true
    }
    let counted = known.count - skipped.count
    let words = known.isEmpty ? "no table was counted" : "\(counted) table\(counted == 1 ? "" : "s")"
    guard !skipped.isEmpty else {
      record.add(.passed, name, words)
      return true
    }
    record.add(
      counted == 0 ? .skipped : .passed, name,
      "\(words); not counted: \(skipped.prefix(3).joined(separator: "; "))\(skipped.count > 3 ? "; and \(skipped.count - 3) more" : "")"
    )
    return true
  }

  private mutating func ask(_ connection: DatabaseConnection) throws {
    guard !request.assertions.isEmpty else { return }
    let confined = try ConfinedConnection(connection)
    for (index, assertion) in request.assertions.enumerated() {
      try progress.update(.asserting, Int64(index), of: Int64(request.assertions.count))
      var answer = DrillRecord.Answer(label: assertion.label(index + 1), assertion: assertion, passed: false)
      do {
        let text = try confined.answer(assertion.sql, within: Self.patience)
        (answer.answer, answer.passed) = (text, assertion.isMet(by: text))
      } catch {
        try progress.check()
        answer.error = error.reason == .interrupted ? "it took longer than \(Self.patience / 60000) min" : error.message
      }
      record.answers.append(answer)
    }
    recordUnmet()
  }

  private mutating func recordUnmet() {
    let unmet = record.answers.filter { !$0.passed }
    guard let first = unmet.first else { return }
    let rest = unmet.count == 1 ? "" : ", and \(unmet.count - 1) more"
    let why = first.error.map { "could not be queried: \($0)" } ?? "does not have the expected answer"
    record.failure = .init(
      step: .assertions, code: .verificationFailed, message: "\(first.label) \(why)\(rest)")
  }

  private mutating func fail(_ step: DrillStep, _ check: String, _ detail: String) -> Bool {
    record.add(.failed, check, detail)
    record.failure = .init(step: step, code: .verificationFailed, message: "\(step.words) failed: \(detail)")
    return false
  }
}

/// Converts an error during a drill to the drill's failure.
struct DrillFault {
  var code: HoldfastError.Code
  var message: String

  /// These codes mean that neither the backup nor the restore is at fault: there was no drill.
  private static let notADrill: Set<HoldfastError.Code> = [
    .interrupted, .busy, .factsChanged, .pointNotFound, .refused, .unauthenticated, .usage,
  ]

  /// - Throws: the error, if there was no drill.
  init(_ error: any Error, _ progress: Progress) throws {
    let known = (error as? DatabaseError).map { HoldfastError($0) } ?? error as? HoldfastError
    let failure = known ?? HoldfastError(.failed, "\(error)")
    if progress.isStopped { throw HoldfastError(.interrupted, "interrupted") }
    if Self.notADrill.contains(failure.code) { throw failure }
    // If SQLite finds damage here, it came out of the archive.
    code = [.databaseCorrupt, .notADatabase].contains(failure.code) ? .verificationFailed : failure.code
    message = failure.message
  }
}
