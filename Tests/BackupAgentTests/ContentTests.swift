import BackupEngine
import BackupPolicy
import Testing
import TestSupport

@testable import BackupAgent

/// If pages move without a change of content, no backup is needed; if content disappears, the agent
/// raises an alarm.
@Suite(.ownThread) struct ContentTests {
  /// Takes backups and describes the results in words.
  private final class Backups {
    private var backup: DatabaseWorker
    private let kept: KeptConnection

    init(_ harness: AgentHarness, encrypt: Bool = true) {
      var settings = AgentHarness.settings()
      settings.archive.encrypt = encrypt
      kept = KeptConnection(harness.engine.environment)
      backup = DatabaseWorker(harness.engine, settings, harness.log.logger, kept)
    }

    func take() throws -> String {
      switch try kept.job(ConnectionTerms(), { try backup.storeChange(Progress()).ending.get() }) {
      case .stored: "stored"
      case .unchanged: "unchanged"
      case .absent(let error): error.message
      }
    }

    func assess() throws -> String {
      switch try kept.job(ConnectionTerms(), { try backup.assess() }) {
      case .due: "due"
      case .unchanged: "unchanged"
      case .absent(let error): error.message
      }
    }

    func look() -> FollowUp.Probe { kept.job(ConnectionTerms()) { backup.probe() } }
  }

  private static let insert = "c = sqlite3.connect(path); c.execute(\"INSERT INTO t(s) VALUES ('x')\"); c.commit()"

  @Test(arguments: ["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
  func aCheckpointIsNoChange(kind: String) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.python(Self.insert + "; os._exit(0)")
    let backup = Backups(harness)
    #expect(try backup.take() == "stored")
    try await harness.python(
      "c = sqlite3.connect(path); c.execute('PRAGMA wal_checkpoint(\(kind))').fetchall(); os._exit(0)")
    #expect(backup.look() == .changed, "the fingerprint alone cannot tell")
    #expect(try backup.take() == "unchanged")
    #expect(backup.look() == .unchanged)
    try await harness.python(Self.insert + "; os._exit(0)")
    #expect(try backup.take() == "stored")
  }

  @Test func theApplicationsLastCloseIsNoChange() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.python(Self.insert + "; os._exit(0)")
    let backup = Backups(harness)
    #expect(try backup.take() == "stored")
    try await harness.python("c = sqlite3.connect(path); c.execute('SELECT * FROM t').fetchall(); c.close()")
    #expect(try SystemFileOperations().status(harness.database + "-wal") == nil)
    #expect(try backup.take() == "unchanged")
  }

  @Test(arguments: ["wal", "delete"])
  func aCopyOfTheSameContentIsNoChangeAndAnotherIsOne(journal: String) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase(journal: journal)
    let backup = Backups(harness)
    #expect(try backup.take() == "stored")
    try await harness.python("import shutil; shutil.copy(path, path + '.new'); os.rename(path + '.new', path)")
    #expect(try backup.take() == "unchanged")
    try await harness.python(Self.insert + "; c.close()")
    #expect(try backup.take() == "stored")
  }

  @Test(arguments: [true, false])
  func withoutItsMemoryTheAgentComparesWithTheNewestPoint(encrypted: Bool) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let first = Backups(harness, encrypt: encrypted)
    #expect(try first.take() == "stored")
    try SystemFileOperations().unlink(harness.backups + "/.state/agent.json")
    #expect(try Backups(harness, encrypt: encrypted).assess() == "unchanged")
    try await harness.python(Self.insert + "; c.close()")
    try SystemFileOperations().unlink(harness.backups + "/.state/agent.json")
    #expect(try Backups(harness, encrypt: encrypted).assess() == "due")
  }

  @Test func anEmptiedDatabaseIsNotBackedUp() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let backup = Backups(harness)
    #expect(try backup.take() == "stored")
    try await harness.python(
      "os.remove(path); c = sqlite3.connect(path); c.execute('PRAGMA user_version=1'); c.close()")
    #expect(try backup.take().contains("no longer has any table"))
    // An agent that has lost its last known state does not either.
    try SystemFileOperations().unlink(harness.backups + "/.state/agent.json")
    let forgetful = Backups(harness)
    _ = try forgetful.assess()
    #expect(try forgetful.take().contains("no longer has any table"))
    #expect(try harness.points().count == 1)
  }

  @Test func lostContentIsAnAlarmAndBackedUp() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.python(
      "c = sqlite3.connect(path); c.executemany('INSERT INTO t(s) VALUES (?)', [('x' * 500,)] * 1000); c.commit()")
    let backup = Backups(harness)
    #expect(try backup.take() == "stored")
    try await harness.python("c = sqlite3.connect(path); c.execute('DELETE FROM t'); c.commit()")
    #expect(try backup.take() == "stored")
    #expect(harness.log.count("lost most of its content") == 1, "\(harness.log.lines)")
    try await harness.python("import shutil; shutil.copy(path, path + '.new'); os.rename(path + '.new', path)")
    try await harness.python(Self.insert)
    #expect(try backup.take() == "stored")
    #expect(harness.log.count("another file has taken the place") == 1, "\(harness.log.lines)")
  }

  @Test func aProgramThatSavesByRenameIsReportedOnce() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let backup = Backups(harness)
    #expect(try backup.take() == "stored")
    for _ in 1...3 {
      try await harness.python(
        "import shutil; shutil.copy(path, path + '.new'); c = sqlite3.connect(path + '.new'); "
          + "c.execute(\"INSERT INTO t(s) VALUES ('x')\"); c.commit(); c.close(); os.rename(path + '.new', path)")
      #expect(try backup.take() == "stored")
    }
    #expect(harness.log.count("notice: another file has taken the place") == 1, "\(harness.log.lines)")
    #expect(harness.log.count("another file has taken the place") == 1 && harness.log.count("error") == 0)
    // If a rename empties it, that is still an alarm.
    try await harness.python(
      "c = sqlite3.connect(path + '.new'); c.execute('PRAGMA user_version=1'); c.close(); os.rename(path + '.new', path)"
    )
    #expect(try backup.take().contains("no longer has any table"))
  }

  /// If a backup begins within a tick of the commit, it cannot detect later whether another write
  /// followed; it still knows the last known state.
  @Test(arguments: [false, true])
  func aFileThatWasWrittenJustNowIsRemembered(restarted: Bool) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    // A time in the future counts as just now, for as long as the test needs.
    try await harness.python("os.utime(path, (4e9, 4e9))")
    let backup = Backups(harness)
    #expect(try backup.take() == "stored")
    try await harness.python("import shutil; shutil.copy(path, path + '.new'); os.rename(path + '.new', path)")
    try await harness.python(Self.insert)
    let next = restarted ? Backups(harness) : backup
    if restarted { #expect(try next.assess() == "due") }
    #expect(try next.take() == "stored")
    #expect(harness.log.count("another file has taken the place") == 1, "\(harness.log.lines)")
  }
}
