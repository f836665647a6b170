import Glibc
import Testing
import TestSupport

@testable import SQLitePages

/// SQLite writes a commit's frames, flushes them, and only then publishes it in the wal-index.
@Suite("A commit that is not published yet", .ownThread)
struct UnpublishedCommitTests {
  let folder: TemporaryFolder
  let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.path("app.db")
    try DatabaseFixture(journalMode: "wal", rows: 300).create(at: path).close()
  }

  /// Probes for an unpublished commit, and for the last published frame.
  private func look() throws -> (isUnpublished: Bool, maxFrame: UInt32) {
    let connection = try DatabaseConnection(path: path, access: .observer)
    defer { connection.close() }
    let snapshot = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch"))
    defer { snapshot.end() }
    return (snapshot.position.hasUnpublishedCommit, try #require(snapshot.position.wal).maxFrame)
  }

  /// The number of the flush for the first commit of a log: its header and the folder are flushed
  /// before it.
  private static let firstCommit = 3

  /// Delays or kills the application's nth flush.
  private static func strace(_ fault: String) -> [String] {
    ["strace", "-f", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync:\(fault)"]
  }

  @Test("Between commits there is no unpublished commit", arguments: ["OFF", "NORMAL", "FULL"], [4096, 512, 65536])
  func quiet(synchronous: String, pageSize: Int) throws {
    let path = folder.path("other.db")
    let application = try DatabaseFixture(pageSize: pageSize, journalMode: "wal").create(at: path)
    try application.run("PRAGMA synchronous = \(synchronous); PRAGMA wal_autocheckpoint = 7")
    let connection = try DatabaseConnection(path: path, access: .observer)
    // Through several generations of the log, with leftovers behind the last frame.
    var salts: Set<UInt64> = []
    for number in 0..<60 {
      try application.run("UPDATE item SET name = 'n\(number)', body = randomblob(900) WHERE id = \(number % 60 + 1)")
      let snapshot = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch"))
      #expect(!snapshot.position.hasUnpublishedCommit)
      salts.insert(try #require(snapshot.position.wal).salts)
      snapshot.end()
    }
    #expect(salts.count > 1)
  }

  /// In `NORMAL` a commit is flushed only when it is the first of a generation (its header is) or checkpointed.
  @Test(
    "A commit is unpublished while it is flushed, and published after that",
    arguments: ["DELETE FROM item WHERE id = 1", nil])
  func whileFlushing(earlier: String?) throws {
    let before: [StagedApplication.Step] = earlier.map { [.run("PRAGMA synchronous = OFF"), .run($0)] } ?? []
    let application = try StagedApplication(
      path, folder: folder, wrapper: Self.strace("delay_enter=400000:when=\(earlier == nil ? Self.firstCommit : 1)"),
      [.open] + before + [.run("PRAGMA synchronous = FULL"), .wait, .run("UPDATE item SET name = 'new'"), .wait])
    let first = try look()
    #expect(!first.isUnpublished)
    application.letGo()
    var looks = [try look()]
    while looks.last?.maxFrame == first.maxFrame, looks.count < 2000 {
      usleep(5000)
      looks.append(try look())
    }
    #expect(try #require(looks.last).maxFrame > first.maxFrame)
    #expect(looks.contains { $0.isUnpublished && $0.maxFrame == first.maxFrame })
    try application.settle()
    #expect(try !look().isUnpublished)
  }

  @Test("A transaction that spills its pages is not an unpublished commit")
  func spilling() throws {
    let application = try DatabaseApplication(path, "PRAGMA cache_size = 5; PRAGMA wal_autocheckpoint = 0")
    let before = try look()
    try application.run("BEGIN; UPDATE item SET body = randomblob(3000)")
    let size = try #require(FileFacts(path: path + "-wal")?.size)
    #expect(size > 100 * 4120)
    #expect(try look() == before)
    try application.run("ROLLBACK")
    #expect(try look() == before)
    try application.run("UPDATE item SET name = 'short' WHERE id = 1")
    #expect(try !look().isUnpublished && look().maxFrame > before.maxFrame)
  }

  @Test("A very long transaction's commit is found at its end", arguments: [true, false])
  func longTransaction(commits: Bool) throws {
    // Keeps the wal-index from being recovered.
    let holder = try DatabaseConnection(path: path, access: .observer)
    defer { holder.close() }
    let application = try StagedApplication(
      path, folder: folder, wrapper: Self.strace("signal=KILL:when=1"),
      [
        .open, .run("PRAGMA synchronous = OFF"), .run("PRAGMA wal_autocheckpoint = 0"), .run("PRAGMA cache_size = 5"),
        .run("DELETE FROM item WHERE id = 1"), .run("CREATE TABLE long (body)"),
        .run("PRAGMA synchronous = FULL"), .run("BEGIN"),
        .run("INSERT INTO long SELECT randomblob(3500) FROM (\(DatabaseFixture.numbers(20_000)))"), .wait,
        .run("COMMIT"),
      ])
    if commits { #expect(throws: (any Error).self) { try application.goOn() } }
    #expect(try #require(FileFacts(path: path + "-wal")?.size) > 16_384 * 4120)
    #expect(try look().isUnpublished == commits)
    application.kill()
  }

  @Test(
    "If a writer was killed in its flush, its commit stays unpublished until the log is recovered",
    arguments: [true, false])
  func killed(isFirstOfLog: Bool) throws {
    // Prevents the recovery of the wal-index.
    let holder = try DatabaseConnection(path: path, access: .observer)
    defer { holder.close() }
    let before: [StagedApplication.Step] =
      isFirstOfLog ? [] : [.run("PRAGMA synchronous = OFF"), .run("DELETE FROM item WHERE id = 1")]
    let application = try StagedApplication(
      path, folder: folder, wrapper: Self.strace("signal=KILL:when=\(isFirstOfLog ? Self.firstCommit : 1)"),
      [.open] + before + [.run("PRAGMA synchronous = FULL"), .wait, .run("UPDATE item SET name = 'new'")])
    #expect(try !look().isUnpublished)
    #expect(throws: (any Error).self) { try application.goOn() }
    #expect(try look().isUnpublished)
    #expect(try look().isUnpublished, "it looks like a pending one for as long as nobody writes")
    // Another commit replaces those frames, because it is no longer than them.
    try DatabaseApplication(path, "PRAGMA wal_autocheckpoint = 0; UPDATE item SET name = 'over'").close()
    #expect(try !look().isUnpublished)
  }

  @Test("Leftovers of an old generation do not count, even before the new header is in the file")
  func leftovers() throws {
    let application = try DatabaseApplication(path, "UPDATE item SET name = 'a'")
    let connection = try DatabaseConnection(path: path, access: .observer)
    let wal = try #require(SQLiteFile.journal(of: connection.handle))
    var header = try #require(connection.walIndex()?.readHeader())
    #expect(!WALFile.hasUnpublishedCommit(wal, beyond: header))
    for hostile: UInt32 in [.max, .max - 1, .max - 20_000] {
      header.maxFrame = hostile
      #expect(!WALFile.hasUnpublishedCommit(wal, beyond: header))
    }
    // As `walRestartHdr` does it: salt 1 counts on, and no frame is valid.
    header.maxFrame = 0
    let generation = UInt32(truncatingIfNeeded: header.salts.bigEndian >> 32)
    header.salts = (UInt64(generation &+ 1) << 32 | 0x1234_5678).bigEndian
    #expect(!WALFile.hasUnpublishedCommit(wal, beyond: header))
    // The opposite case: a log of another generation whose index is behind.
    header.salts = (UInt64(generation &- 1) << 32 | 0x1234_5678).bigEndian
    #expect(WALFile.hasUnpublishedCommit(wal, beyond: header))
    application.close()
  }

  @Test("A header with a wrong checksum, magic number or page size is not a log", arguments: 0..<32)
  func damagedHeader(byte: Int) throws {
    try DatabaseApplication(folder.path("other.db"), "PRAGMA journal_mode = WAL").close()
    let application = try DatabaseApplication(path, "UPDATE item SET name = 'a'")
    var bytes = try #require(try folder.read("app.db-wal").map { Array($0.prefix(32)) })
    #expect(bytes.withUnsafeBytes { WALFileHeader($0) }?.pageSize == 4096)
    bytes[byte] ^= 1
    #expect(bytes.withUnsafeBytes { WALFileHeader($0) } == nil)
    application.close()
  }
}
