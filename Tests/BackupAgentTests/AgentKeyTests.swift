import BackupEngine
import BackupPolicy
import Testing
import TestSupport

@testable import BackupAgent

/// The agent has the key in memory, and people have it in a file: if the two differ, the agent
/// reports it.
@Suite(.ownThread) struct AgentKeyTests {
  /// Creates a key file and an agent that starts with it.
  private struct Bed {
    let harness: AgentHarness
    let file: String
    let configuration: AgentConfiguration

    init(pollInterval: Int64 = 100) throws {
      let harness = try AgentHarness()
      let file = harness.folder.path("key")
      try Self.write(file)
      let read: @Sendable () throws -> Credentials = {
        Credentials(key: try Credentials.readKey(file, SystemFileOperations()))
      }
      let engine = Engine(
        database: harness.database, folder: harness.backups, credentials: try read(),
        environment: harness.engine.environment)
      configuration = AgentConfiguration(databases: [
        AgentDatabase(
          name: "app", engine: engine, settings: AgentHarness.settings { $0.pollInterval = pollInterval },
          credentials: CredentialSource(paths: [file], read: read))
      ])
      (self.harness, self.file) = (harness, file)
    }

    func waitForAlarm(_ words: String) async throws {
      for _ in 0..<3000 {
        let alarms = await harness.control.status().flatMap(\.alarms)
        if alarms.contains(where: { $0.kind == "key_file" && $0.message.contains(words) }) { return }
        try await Task.sleep(for: .milliseconds(10))
      }
      throw HoldfastError(.failed, "no alarm with \(words): \(harness.log.lines)")
    }

    static func write(_ file: String) throws {
      let files = SystemFileOperations()
      try files.unlink(file)
      let open = try files.open(file, .createNew)
      defer { files.close(open) }
      try SecretBytes.random(32).withUnsafeBytes { try files.write(open, $0, at: 0) }
    }
  }

  @Test func aReplacedKeyFileIsAnAlarmUntilItIsBack() async throws {
    let bed = try Bed()
    let files = SystemFileOperations()
    try await bed.harness.createDatabase()
    try await bed.harness.withAgent(bed.configuration) { _ in
      try await bed.harness.log.wait(for: "stored")
      try files.rename(bed.file, to: bed.file + ".old")
      try await bed.harness.log.wait(for: "error: cannot read the key file")
      try Bed.write(bed.file)
      try await bed.waitForAlarm("has changed; backups continue with the key")
      try files.rename(bed.file + ".old", to: bed.file)
      try await bed.harness.log.wait(for: "notice: the key file holds the key of the backups again")
    }
    #expect(bed.harness.log.count("error") == 1, "an alarm is told once: \(bed.harness.log.lines)")
  }

  /// The default key file is not an error if it is missing.
  @Test func aKeyThatIsGoneIsReportedAsMissing() throws {
    let bed = try Bed()
    let engine = bed.configuration.databases[0].engine
    func problem(_ paths: [String]) -> String? {
      KeyCheck(engine: engine, source: CredentialSource(paths: paths, read: { Credentials() })).problem()?.message
    }
    let rest = "; the agent continues with the key in its memory, but could not be restarted"
    #expect(problem([bed.file]) == "there is neither a password nor a key in \(bed.file)\(rest)")
    try SystemFileOperations().unlink(bed.file)
    #expect(problem([bed.file]) == "\(bed.file) is missing\(rest)")
  }

  @Test func aBackupLooksAtTheKeyFile() async throws {
    let bed = try Bed(pollInterval: 3_600_000)
    try await bed.harness.createDatabase()
    try await bed.harness.withAgent(bed.configuration) { _ in
      try await bed.harness.log.wait(for: "stored")
      try Bed.write(bed.file)
      try await bed.harness.python("c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (1)'); c.commit()")
      try await bed.harness.log.wait(for: "error: the key in \(bed.file) has changed")
    }
  }

  @Test func aWrongKeyOverAQuietDatabaseIsAnAlarmAtTheStart() async throws {
    let bed = try Bed()
    try await bed.harness.createDatabase()
    try await bed.harness.withAgent(bed.configuration) { _ in try await bed.harness.log.wait(for: "stored") }
    bed.harness.log.clear()
    try await bed.harness.withAgent { _ in
      try await bed.waitForAlarm("open ")
    }
  }
}
