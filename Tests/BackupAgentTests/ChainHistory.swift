import BackupEngine
import BackupPolicy
import Glibc
import Logging
import SQLitePages
import Synchronization
import TestSupport
import Testing

@testable import BackupAgent

/// A database that several programs use at random, and an agent's backups of it.
final class ChainHistory {
  let bed: TestBed
  let seed: UInt64
  var random: SeededGenerator
  var applications: [DatabaseApplication] = []
  var other: DatabaseProcess
  private(set) var log: [String] = []
  private var backup: DatabaseWorker
  private var kept: KeptConnection
  private let recorder = LogRecorder(.debug)
  /// Every backup of the database's own history, with the content that it must contain.
  private var states: [(id: PointID, image: [UInt8])] = []
  /// A part of the log was lost, so the database went back to an earlier state than the newest
  /// backup.
  var hasLostLog = false

  /// The ballast keeps many incrementals below half of a full, so that chains grow long.
  init(seed: UInt64) throws {
    self.seed = seed
    random = SeededGenerator(seed: seed)
    bed = try TestBed()
    let pageSize = [512, 1024, 4096].randomElement(using: &random) ?? 4096
    try DatabaseApplication(
      bed.database,
      """
      PRAGMA page_size = \(pageSize); PRAGMA auto_vacuum = \(Int.random(in: 0...2, using: &random));
      PRAGMA journal_mode = wal; PRAGMA synchronous = OFF;
      CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB); CREATE INDEX i ON t (v);
      INSERT INTO t SELECT n, randomblob(300) FROM (\(DatabaseFixture.numbers(300)));
      CREATE TABLE ballast (b BLOB); INSERT INTO ballast VALUES (randomblob(700000));
      """
    ).close()
    other = try DatabaseProcess(bed.database, in: bed.folder)
    kept = KeptConnection(bed.environment())
    backup = Self.agent(bed, recorder, kept)
    try backUp()
  }

  private static func agent(_ bed: TestBed, _ recorder: LogRecorder, _ kept: KeptConnection) -> DatabaseWorker {
    DatabaseWorker(bed.engine(), AgentHarness.settings(), recorder.logger, kept)
  }

  func note(_ line: String) { log.append(line) }
  func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
  func pick<Value>(_ choices: [Value]) -> Value { choices[number(0...choices.count - 1)] }

  /// How often each proof and the comparison decided.
  var tally: [String: Int] {
    let words = recorder.lines.filter { $0.hasPrefix("debug: backup_") }.compactMap { line -> String? in
      let word = line.split(separator: " ", maxSplits: 2).last ?? ""
      return word.hasPrefix("followed") ? String(word) : word.split(separator: ":").first.map { String($0) }
    }
    return Dictionary(grouping: words, by: \.self).mapValues(\.count)
  }

  func run(steps: Int) throws {
    defer { applications.forEach { $0.close() } }
    do {
      for _ in 0..<steps { try step() }
      try finish()
    } catch {
      let steps = log.suffix(14).joined(separator: "\n")
      throw HoldfastError(.failed, "seed \(seed): \(error)\n\(steps)\n\(recorder.lines.suffix(4))")
    }
  }

  /// A new process of the agent: all its knowledge is in the repository.
  func restartAgent() throws {
    note("agent restarts")
    kept.close()
    kept = KeptConnection(bed.environment())
    backup = Self.agent(bed, recorder, kept)
    if number(0...2) > 0 { _ = try backup.assess() }
  }

  /// Backs up as the agent does after a change.
  func backUp() throws {
    try prove { try backup.storeChange(Progress()).ending.get() }
  }

  /// Backs up as the agent does on a schedule: a full, which audits the tracker since the last one.
  func backUpOnSchedule() throws {
    try prove { try backup.takeOnSchedule() }
  }

  /// Compares the restored content of a new backup with SQLite's own answer.
  private func prove(_ store: () throws -> BackupEnding) throws {
    bed.time.advance(milliseconds: 1000)
    // Reading the truth is also an access, so it happens sometimes before and sometimes after.
    let before = number(0...1) == 0 ? try truth() : nil
    let ending = try kept.job(ConnectionTerms(mayStayOpen: number(0...5) > 0), store)
    let truth = try before ?? truth()
    let point: PointID
    switch ending {
    case .stored(let metadata):
      point = metadata.id
      note("stored \(metadata.kind) \(metadata.pagesStored ?? 0) \(how)")
    case .unchanged(let id):
      point = id
      note("unchanged \(id) \(how)")
    case .absent(let error) where error.code == .logDeleted && hasLostLog:
      // The database went back behind the newest backup: nothing is stored until new commits
      // arrive.
      return note("refused: \(error.message)")
    case .absent(let error): throw error
    }
    hasLostLog = hasLostLog && point == states.last?.id
    let image = try ChainImage(bed.engine(), point).bytes
    if let objection = truth.objection(to: image) { throw BrokenChain(point: point, objection: objection) }
    states.append((point, image))
    guard recorder.count("tracker miss") == 0 else { throw BrokenChain(point: point, objection: "a tracker miss") }
  }

  private var how: String {
    recorder.lines.last.map { "(\($0))" } ?? ""
  }

  private func truth() throws -> DatabaseTruth {
    if let application = applications.randomElement(using: &random), number(0...1) == 0 {
      return try DatabaseTruth(application)
    }
    let reader = try DatabaseApplication(bed.database, checkpointsOnClose: false)
    defer { reader.close() }
    return try DatabaseTruth(reader)
  }

  /// As the agent does if an application has closed the database or has not used it for a while.
  func releaseDatabase() {
    if kept.isOpen { note("agent lets go") }
    kept.close()
  }

  func forgetPoint(_ id: PointID) { states.removeAll { $0.id == id } }

  /// Removes the oldest full and everything that needs it, if there are others: the rest still
  /// contains its content.
  func cleanUp() throws {
    let points = try bed.engine().list().reversed()
    guard let oldest = points.first, let newest = states.last?.id,
      try bed.engine().point(newest.text).metadata.chainID != oldest.id
    else { return }
    _ = try bed.engine().delete(oldest.id.text, withChildren: true)
    let left = Set(try bed.engine().list().map(\.id))
    note("removed \(oldest.id) and its chain")
    states.removeAll { !left.contains($0.id) }
  }
  var points: [PointID] { states.map(\.id) }

  /// Older backups still contain their content, the newest one verifies, and the independent reader
  /// agrees.
  private func finish() throws {
    note("finish")
    try backUp()
    try backUpOnSchedule()
    for _ in 0..<min(6, states.count) {
      let state = pick(states)
      guard try ChainImage(bed.engine(), state.id).bytes == state.image else {
        throw BrokenChain(point: state.id, objection: "it is not what it was")
      }
    }
    guard let newest = states.last else { return }
    let verification = try bed.engine().verify(newest.id.text)
    guard verification.verified else { throw BrokenChain(point: newest.id, objection: "\(verification.errors)") }
    if seed.isMultiple(of: 8), try bed.recovered(newest.id) != newest.image {
      throw BrokenChain(point: newest.id, objection: "recover.py gives something else")
    }
  }
}

/// A backup whose content differs from the database's.
struct BrokenChain: Error {
  var point: PointID
  var objection: String
}
