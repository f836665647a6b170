import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

@Suite("Restoring an incremental", .ownThread)
struct IncrementalTests {
  struct Form: Sendable, CustomStringConvertible {
    var pageSize: Int
    var journal: String
    var secret: TestBed.Secret
    var compress: Bool

    var description: String { "\(pageSize) \(journal) \(secret) \(compress ? "gz" : "raw")" }

    var request: CreateRequest {
      var request = CreateRequest()
      request.archive.encrypt = secret != .none
      request.archive.compress = compress
      return request
    }
  }

  static let forms = [
    Form(pageSize: 512, journal: "wal", secret: .key, compress: true),
    Form(pageSize: 1024, journal: "delete", secret: .none, compress: true),
    Form(pageSize: 2048, journal: "wal", secret: .none, compress: false),
    Form(pageSize: 4096, journal: "wal", secret: .password, compress: true),
    Form(pageSize: 4096, journal: "delete", secret: .key, compress: false),
    Form(pageSize: 8192, journal: "truncate", secret: .both, compress: true),
    Form(pageSize: 16384, journal: "wal", secret: .none, compress: true),
    Form(pageSize: 32768, journal: "delete", secret: .key, compress: true),
    Form(pageSize: 65536, journal: "wal", secret: .key, compress: true),
  ]

  @Test("An incremental in every form is restored page for page, and recover.py reads the same bytes", arguments: forms)
  func everyForm(_ form: Form) throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 300, bytes: 300, journal: form.journal, pageSize: form.pageSize)
    let full = try bed.engine(form.secret).create(form.request)
    var states = [(full.id, try bed.image())]
    for change in [
      "UPDATE entries SET text = 'changed' WHERE id = 7",
      "INSERT INTO entries SELECT id + 1000, randomblob(2000) FROM entries",
      "DELETE FROM entries WHERE id > 100; VACUUM",
    ] {
      try bed.change(change)
      let point = try bed.storeIncremental(form.secret, form.request)
      #expect(point.filename == "\(point.id).pages\(form.compress ? ".gz" : "")\(form.secret == .none ? "" : ".enc")")
      states.append((point.id, try bed.image()))
    }
    for (id, image) in states {
      #expect(try bed.restored(id, form.secret) == image, "\(id)")
      let verification = try bed.engine(form.secret).verify(id.text)
      #expect(verification.verified, "\(verification.checks)")
    }
    #expect(try bed.recovered(states[3].0) == states[3].1)
    #expect(try bed.recovered(states[2].0) == states[2].1)
  }

  @Test("Each point of a chain of thirty random changes is restored", arguments: [1, 2, 3] as [UInt64])
  func longChain(seed: UInt64) throws {
    let bed = try TestBed()
    var random = SeededGenerator(seed: seed)
    try bed.makeDatabase(rows: 200, bytes: 200, journal: seed == 2 ? "delete" : "wal", pageSize: 1024)
    var states = [(try bed.engine().create(CreateRequest()).id, try bed.image())]
    for step in 0..<30 {
      let change = RandomChange.allCases.randomElement(using: &random)!
      try bed.change(change.sql(&random))
      bed.time.advance(milliseconds: 1000)
      let before = states.last!.1
      let now = try bed.image()
      // Half of the time the changed pages are listed, with some more.
      let changes = Bool.random(using: &random) ? superset(before, now, pageSize: 1024, &random) : .unknown
      let outcome = try bed.storeIncremental(changes)
      switch outcome {
      case .stored(let point, _):
        states.append((point.id, now))
        #expect(point.pageCount == UInt32(now.count / 1024), "seed \(seed), step \(step), \(change)")
      case .unchanged: #expect(before == now, "seed \(seed), step \(step), \(change)")
      case .fullNeeded(let reason): Issue.record("seed \(seed), step \(step), \(change): \(reason)")
      }
    }
    for (id, image) in states { #expect(try bed.restored(id) == image, "seed \(seed), \(id)") }
    #expect(try bed.recovered(states.last!.0) == states.last!.1, "seed \(seed)")
    let verification = try bed.engine().verify(states.last!.0.text)
    #expect(verification.verified, "seed \(seed): \(verification.checks)")
  }

  @Test("Metadata of an incremental is complete and derived from the archive")
  func metadata() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 2)
    let newest = try bed.engine().point(points[2].id.text).metadata
    #expect(newest.kind == .incremental && newest.parentID == points[1].id && newest.chainID == points[0].id)
    #expect(newest.sequence == 3 && newest.status == .completed && newest.backupType == .manual)
    #expect(newest.originalSize == Int64(try bed.image().count))
    #expect(newest.tableCounts == nil && newest.totalRecords == nil)
    #expect(newest.pagesStored! < newest.pageCount! && newest.digest != points[1].digest)
    #expect(try bed.engine().point("latest").id == points[2].id)
    // All of it is derived again from the archive alone.
    try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(newest.id).json")
    var derived = try bed.engine().point(newest.id.text).metadata
    derived.durationMS = newest.durationMS
    #expect(derived == newest)
  }

  @Test("An unchanged database stores nothing, and no incremental is stored if it is impossible")
  func otherOutcomes() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    guard case .stored(let first, _) = try bed.engine().store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    #expect(first.kind == .full)
    guard case .unchanged(let id) = try bed.engine().store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("an unchanged database was stored")
    }
    #expect(id == first.id)
    #expect(try bed.engine().list().count == 1)
    var plain = CreateRequest()
    plain.archive.encrypt = false
    for request in [plain, scheduled()] {
      bed.time.advance(milliseconds: 1000)
      try bed.change("UPDATE marker SET text = text || '+'")
      guard case .stored(let full, let reason) = try bed.engine().store(request, kind: .automatic) else {
        throw BrokenPromise("nothing was stored")
      }
      #expect(full.kind == .full && !reason.isEmpty)
    }
  }

  private func scheduled() -> CreateRequest {
    var request = CreateRequest()
    request.reason.type = .scheduled
    return request
  }

  @Test("A database of one page, and one that becomes empty, are restored")
  func onePage() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 50, journal: "delete")
    _ = try bed.engine().create(CreateRequest())
    try bed.change("DROP TABLE entries; DROP TABLE marker; VACUUM")
    let small = try bed.storeIncremental()
    #expect(small.pageCount == 1)
    #expect(try bed.restored(small.id) == bed.image())
    try bed.change("CREATE TABLE again(text)")
    let grown = try bed.storeIncremental()
    #expect(try bed.restored(grown.id) == bed.image())
    // The only fact about an empty file is that it is empty.
    _ = try bed.folder.write("app.db", [])
    guard case .stored(let empty, _) = try bed.engine().store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    #expect(empty.kind == .full && empty.pageCount == 0)
  }
}

/// The changes that an application may make to its database.
enum RandomChange: CaseIterable {
  case insert, update, delete, vacuum, grow, shrink, index, nothing

  func sql(_ random: inout SeededGenerator) -> String {
    let number = Int.random(in: 1...200, using: &random)
    switch self {
    case .insert:
      return """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(number))
        INSERT INTO entries(text) SELECT hex(randomblob(50)) FROM n
        """
    case .update: return "UPDATE entries SET text = hex(randomblob(80)) WHERE id % \(number) = 0"
    case .delete: return "DELETE FROM entries WHERE id % \(number + 1) = 1"
    case .vacuum: return "VACUUM"
    case .grow: return "INSERT INTO entries(text) VALUES (randomblob(\(number * 500)))"
    case .shrink: return "DELETE FROM entries WHERE length(text) > 200; VACUUM"
    case .index: return "CREATE INDEX IF NOT EXISTS words ON entries(text); DROP INDEX words"
    case .nothing: return "SELECT 1"
    }
  }
}

/// The pages that differ between two images, and some that are equal.
private func superset(
  _ before: [UInt8], _ now: [UInt8], pageSize: Int, _ random: inout SeededGenerator
) -> ChangedPages {
  let pages = (0..<(max(before.count, now.count) / pageSize)).filter { page in
    let range = (page * pageSize)..<((page + 1) * pageSize)
    let isSame = range.upperBound <= min(before.count, now.count) && before[range] == now[range]
    return !isSame || Int.random(in: 0..<10, using: &random) == 0
  }
  return .superset(pages.map { UInt32($0 + 1) })
}

extension TestBed {
  /// Stores an incremental of the pages that may have changed since the newest point.
  func storeIncremental(_ changes: ChangedPages) throws -> IncrementalOutcome {
    try ChangeFollower(engine()).store(CreateRequest(), changes, of: database)
  }
}

extension ChangeFollower {
  func store(_ request: CreateRequest, _ changes: ChangedPages, of database: String) throws -> IncrementalOutcome {
    let connection = try DatabaseConnection(path: database, access: .observer)
    defer { connection.close() }
    let visit = try beginVisit(request)
    defer { visit.end() }
    if case .fullNeeded(let reason) = visit.base { return .fullNeeded(reason: reason) }
    return try visit.store(visit.snapshot(of: connection), .given(changes)).outcome.get()
  }
}
