import Glibc
import TestSupport
import Testing

/// The agent as a process, killed at random moments beside a program that writes: every backup is a
/// committed state, the order of the backups is that of the commits, and the last state is stored
/// in the end.
///
/// More of it on request: `HOLDFAST_KILL_SEEDS=100 HOLDFAST_KILL_ROUNDS=50 contrib/test --filter
/// KilledAgentTests`.
@Suite(.ownThread, .serialized) struct KilledAgentTests {
  private static let seeds = Array(1...(number("HOLDFAST_KILL_SEEDS") ?? 2))
  private static let rounds = number("HOLDFAST_KILL_ROUNDS") ?? 8

  private static func number(_ variable: String) -> Int? { getenv(variable).flatMap { Int(String(cString: $0)) } }

  @Test(arguments: seeds) func everyPointIsWhatWasCommitted(seed: Int) throws {
    let folder = try TemporaryFolder()
    try folder.write("key", Array(String(repeating: "0123456789abcdef", count: 4).utf8))
    let result = try Python.run(
      file: "\(projectFolder)/Tests/Fixtures/killed_agent.py",
      arguments: [CommandBed.program, folder.path, "\(seed)", "\(Self.rounds)"],
      environment: [
        "HOME": folder.path("home"), "XDG_CONFIG_HOME": folder.path("config"), "XDG_STATE_HOME": folder.path("state"),
        "DATABASE_URL": "sqlite:///app.db", "BACKUP_ENCRYPTION_KEY_FILE": folder.path("key"),
      ])
    #expect(result.status == 0, "seed \(seed): \(result.stderr)")
    let kinds = try decode([String: Int].self, result.stdout)
    // A history without chains would prove little.
    #expect(kinds["incremental"] ?? 0 > 0, "seed \(seed): \(kinds)")
  }
}
