import BackupEngine
import BackupPolicy
import Glibc

import Testing
import TestSupport

@testable import BackupAgent
@testable import SQLitePages

@Suite(.ownThread) struct DatabaseStateTests {
  private func fingerprint(_ harness: AgentHarness) throws -> String? {
    let probe = try DatabaseState.read(
      harness.database, scratchPath: harness.folder.path("scratch"),
      KeptConnection(harness.engine.environment))
    guard case .state(let state) = probe else { return nil }
    return state.fingerprint
  }

  @Test(arguments: ["wal", "delete", "truncate", "persist", "memory"])
  func everyCommitShowsAndReadingDoesNot(journal: String) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase(journal: journal)
    var seen: Set<String> = [try #require(try fingerprint(harness))]
    for _ in 0..<5 {
      #expect(seen.contains(try #require(try fingerprint(harness))))
      // Of the same size each time, and without a close, so that a WAL remains.
      try await harness.python(
        """
        c = sqlite3.connect(path)
        c.execute("PRAGMA journal_mode=\(journal)")
        c.execute("REPLACE INTO t VALUES (1, random())")
        c.commit()
        os._exit(0)
        """)
      #expect(seen.insert(try #require(try fingerprint(harness))).inserted)
    }
  }

  @Test func openingAndClosingACleanlyClosedDatabaseDoesNotShow() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let before = try #require(try fingerprint(harness))
    try await harness.python("c = sqlite3.connect(path); c.execute('SELECT * FROM t').fetchall(); c.close()")
    #expect(try fingerprint(harness) == before)
    #expect(try SystemFileOperations().status(harness.database + "-wal") == nil)
  }

  /// Two writes within one tick of the kernel's clock leave the same times.
  @Test func aFileThatWasWrittenJustNowHasNoFingerprint() throws {
    let folder = try TemporaryFolder()
    let facts = try #require(SQLitePages.FileFacts(path: try folder.write("f", [1])))
    let position = SnapshotPosition(database: nil, wal: nil, changeCounter: 1, facts: nil)
    let written = max(facts.modified, facts.changed) / 1_000_000
    func state(after milliseconds: Int64) -> DatabaseState {
      DatabaseState(
        "f", position, facts, nil, ContentFacts(file: "f", usedBytes: 0, tables: 0),
        now: Timestamp(milliseconds: written + milliseconds))
    }
    #expect(state(after: 10).fingerprint == nil)
    #expect(state(after: 30).fingerprint != nil)
  }
}
