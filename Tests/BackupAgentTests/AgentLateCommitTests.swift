import BackupEngine
import Synchronization
import Testing
import TestSupport

@testable import BackupAgent

@Suite(.ownThread) struct AgentLateCommitTests {
  /// Whether strace may trace here (containers often forbid it).
  static let straceWorks =
    (try? Shell.run("strace", ["-e", "inject=fdatasync:delay_enter=1", "true"]).status) == 0

  /// The application's flush takes so long that the commit becomes visible long after inotify woke
  /// the agent, and no later event follows.
  @Test(.enabled(if: straceWorks, "strace cannot trace here"), arguments: [Int64(0), 20])
  func aCommitThatBecomesVisibleAfterItsEventIsNotLost(debounce: Int64) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let script = """
      import os, sqlite3, sys
      c = sqlite3.connect(sys.argv[1])
      c.execute("PRAGMA synchronous=FULL")
      c.execute("INSERT INTO t(s) VALUES ('x')")
      c.commit()
      os._exit(0)
      """
    let settings = AgentHarness.settings {
      $0.debounce = debounce
      // The slow poll would also find it.
      $0.pollInterval = 3_600_000
    }
    try await harness.withAgent(settings) { _ in
      try await harness.waitForPoints(1)
      let result = try await offPool { [database = harness.database] in
        try Shell.run(
          "strace",
          ["-f", "-o", "/dev/null", "-e", "inject=fdatasync:delay_enter=700000", "python3", "-c", script, database])
      }
      #expect(result.status == 0, "\(result.stderr)")
      try await harness.waitForRows(1)
    }
    #expect(try harness.points().count == 2)
  }

  /// A commit after the snapshot is not in the backup and must stay pending.
  @Test func aCommitDuringABackupIsOwed() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.python(
      """
      c = sqlite3.connect(path)
      c.executemany("INSERT INTO t(s) VALUES (?)", [(os.urandom(100000),) for n in range(30)])
      c.commit()
      os._exit(0)
      """)
    try await offPool {
      let backup = DatabaseWorker(
        harness.engine, AgentHarness.settings(), harness.log.logger, KeptConnection(harness.engine.environment))
      let committed = Atomic(false)
      _ = try backup.storeChange(
        Progress { [database = harness.database] _, _, _ in
          guard !committed.exchange(true, ordering: .relaxed) else { return }
          _ = try? Python.run(
            script: "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('DELETE FROM t WHERE n=1'); "
              + "c.commit(); os._exit(0)", arguments: [database])
        }
      ).ending.get()
      #expect(try harness.newestRows() == 30)
      #expect(backup.probe() == .changed)
      guard case .stored(let point) = try backup.storeChange(Progress()).ending.get() else {
        Issue.record("the commit was lost")
        return
      }
      #expect(try harness.rows.count(point.id, harness.engine) == 29)
      #expect(backup.probe() == .unchanged)
    }
  }
}
