import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

/// A database that goes through random work, with the exact bytes that each of its points must
/// restore to.
private final class CompactLife {
  private let bed: TestBed
  private let secret: TestBed.Secret
  private let request: CreateRequest
  private var generator: SeededGenerator
  private var images: [PointID: [UInt8]] = [:]
  private(set) var merged = 0

  init(seed: UInt64) throws {
    generator = SeededGenerator(seed: seed)
    secret = [.key, .none][Int(seed % 2)]
    request = .change(encrypt: secret != .none)
    bed = try TestBed()
    let pageSize = [512, 1024, 4096, 16384].randomElement(using: &generator)!
    try bed.makeDatabase(
      rows: 200, bytes: 200, journal: ["wal", "delete"].randomElement(using: &generator)!, pageSize: pageSize)
    try store(.full)
  }

  private func store(_ kind: RequestedKind) throws {
    guard case .stored(let point, _) = try bed.engine(secret).store(request, kind: kind) else { return }
    images[point.id] = try bed.image()
  }

  func step() throws {
    bed.time.advance(seconds: Int64([1, 1, 5, 50, 900, 4000, 90_000].randomElement(using: &generator)!))
    try work()
    try store(Int.random(in: 0..<12, using: &generator) == 0 ? .full : .incremental)
    if Int.random(in: 0..<5, using: &generator) == 0 { try compact() }
  }

  private func work() throws {
    let number = Int.random(in: 1...250, using: &generator)
    let statement =
      switch Int.random(in: 0..<8, using: &generator) {
      case 0: "DELETE FROM entries WHERE id > \(number); VACUUM"
      case 1: "DELETE FROM entries WHERE id % 3 = \(number % 3)"
      case 2, 3: "INSERT INTO entries(text) SELECT hex(randomblob(300)) FROM entries LIMIT \(number)"
      case 4:
        "CREATE TABLE t\(number)_\(images.count)(a); INSERT INTO t\(number)_\(images.count) VALUES (zeroblob(9000))"
      case 5: "UPDATE entries SET text = hex(randomblob(150)) WHERE id < \(number)"
      default: "UPDATE entries SET text = text || 'x' WHERE id = \(number)"
      }
    try bed.change("INSERT INTO entries(text) VALUES ('\(images.count)'); \(statement)")
  }

  /// Every remaining point restores to its bytes; a second compaction changes nothing more.
  func compact() throws {
    let outcome = try bed.engine(secret).compact(CompactionPolicy())
    #expect(outcome.skipped.isEmpty)
    merged += outcome.done.count
    for point in try bed.engine(secret).list() {
      let bytes = try bed.restored(point.id, secret)
      #expect(point.problems.isEmpty && bytes == images[point.id], "\(point.id) of \(images.count)")
    }
    #expect(try bed.engine(secret).planCompaction(CompactionPolicy()).steps.isEmpty)
    for (step, bytes) in outcome.done { #expect(bytes <= step.bytesAfterAtMost) }
  }

  func recover() throws {
    for point in try bed.engine(secret).list().prefix(4) {
      let bytes = try bed.recovered(point.id)
      #expect(bytes == images[point.id], "recover.py, \(point.id)")
    }
  }
}

@Suite("Compaction of random histories", .ownThread)
struct CompactPropertyTests {
  @Test("With random databases and times, every remaining point restores to its original bytes", arguments: 0..<4)
  func random(seed: UInt64) throws {
    let life = try CompactLife(seed: seed)
    for _ in 0..<30 { try life.step() }
    try life.compact()
    try life.recover()
    #expect(life.merged > 0, "seed \(seed)")
  }
}
