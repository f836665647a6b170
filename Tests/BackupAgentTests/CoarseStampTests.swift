import BackupEngine
import BackupPolicy
import Glibc
import TestSupport
import Testing

@testable import BackupAgent
@testable import SQLitePages

/// The agent beside a database whose time stamps prove nothing: they neither skip a needed backup
/// nor cause a needless one.
@Suite(.ownThread) struct CoarseStampTests {
  private final class Backups {
    private var backup: DatabaseWorker
    private let kept: KeptConnection

    init(_ harness: AgentHarness) {
      kept = KeptConnection(harness.engine.environment)
      backup = DatabaseWorker(harness.engine, AgentHarness.settings(), harness.log.logger, kept)
    }

    func take() throws -> Bool {
      let ending = try kept.job(ConnectionTerms()) { try backup.storeChange(Progress()).ending.get() }
      return if case .stored = ending { true } else { false }
    }

    func look() -> FollowUp.Probe { kept.job(ConnectionTerms()) { backup.probe() } }
  }

  private static let session =
    "c = sqlite3.connect(path); c.execute('REPLACE INTO t VALUES (1, random())'); c.commit(); c.close()"

  @Test(arguments: [FileSystemKind.tmpfs, .ext4SmallInodes, .odd])
  func everySessionIsStoredAndReadingIsNot(kind: FileSystemKind) async throws {
    guard let mount = try MountedFolder(kind) else { return }
    let harness = try AgentHarness(in: mount.path)
    try await harness.createDatabase()
    let backup = Backups(harness)
    #expect(try backup.take())
    for _ in 0..<5 {
      // Of the same size each time, and most of them in the same second.
      try await harness.python(Self.session)
      // Fine stamps are settled by then.
      usleep(30_000)
      #expect(try backup.take(), "a session was taken for nothing")
      #expect(backup.look() == .unchanged, "what was compared just now is looked at again and again")
      #expect(try !backup.take())
    }
  }

  /// `cp -p`, or a clock that was wrong once.
  @Test(arguments: ["wal", "delete"]) func aFileFromTheFutureCostsNothing(journal: String) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase(journal: journal)
    #expect(try Shell.run("touch", ["-d", "+5 years", harness.database]).status == 0)
    let backup = Backups(harness)
    #expect(try backup.take())
    #expect(backup.look() == .unchanged)
    #expect(try !backup.take())
    try await harness.python(Self.session)
    #expect(backup.look() == .changed)
    #expect(try backup.take())
  }

  /// The clock was set back by hours: until it has caught up, no stamp proves anything.
  @Test func aStateOfALaterClockLooksLikeItself() throws {
    let folder = try TemporaryFolder()
    let facts = try #require(SQLitePages.FileFacts(path: try folder.write("f", [1])))
    let now = Timestamp(milliseconds: facts.changed / 1_000_000 - 3_600_000)
    func state(counter: UInt32) -> DatabaseState {
      DatabaseState(
        "f", SnapshotPosition(database: nil, wal: nil, changeCounter: counter, facts: nil), facts, nil,
        ContentFacts(file: "f", usedBytes: 0, tables: 0), now: now)
    }
    #expect(state(counter: 1).fingerprint == nil && !state(counter: 1).isYoung)
    #expect(state(counter: 1).looksLike(state(counter: 1)))
    #expect(!state(counter: 2).looksLike(state(counter: 1)))
  }

  /// A write that raised no event, in a second that may contain more of them.
  @Test func aWriteThatTheSlowPollSawMayHideAnother() throws {
    func files(modified: Int64, changed: Int64) -> WatchedFiles {
      WatchedFiles(
        database: WatchedFiles.File(
          FileStatus(
            kind: .regular, size: 1, device: 1, inode: 1, modified: modified, changed: changed, permissions: 0,
            owner: 0,
            group: 0)))
    }
    let second: Int64 = 1_000_000_000
    let now = Timestamp(milliseconds: 1_800_000_000_500)
    let written = 1_800_000_000 * second
    #expect(files(modified: written, changed: written).mayHideWrites(at: now))
    #expect(!files(modified: written, changed: written + 1).mayHideWrites(at: now))
    #expect(!files(modified: written - 5 * second, changed: written).mayHideWrites(at: now))
    #expect(!files(modified: written + 5 * second, changed: written).mayHideWrites(at: now))
  }
}
