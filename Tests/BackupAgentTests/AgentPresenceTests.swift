import BackupEngine
import Glibc
import Testing
import TestSupport

@testable import BackupAgent

@Suite(.ownThread) struct AgentPresenceTests {
  @Test func aMissingDatabaseIsAnAlarmAndBackedUpWhenItAppears() async throws {
    let harness = try AgentHarness()
    try await harness.withAgent { _ in
      try await harness.log.wait(for: "error: there is no database")
      #expect(try harness.points().isEmpty)
      try await harness.createDatabase()
      try await harness.waitForRows(0)
    }
    #expect(harness.log.count("error: there is no database") == 1)
  }

  @Test func anEmptyFileIsNotBackedUpUntilThereIsSomethingInIt() async throws {
    let harness = try AgentHarness()
    try await harness.withAgent { _ in
      try harness.folder.write("data/app.db", [])
      try await harness.log.wait(for: "is empty, so no backup is stored")
      #expect(try harness.points().isEmpty)
      try await harness.createDatabase()
      try await harness.waitForRows(0)
    }
  }

  @Test func aDatabaseThatIsRemovedIsAnAlarmAndAnotherInItsPlaceIsBackedUp() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase(journal: "delete")
    try await harness.withAgent { _ in
      try await harness.waitForPoints(1)
      try await harness.python(
        """
        c = sqlite3.connect(path + ".new")
        c.execute("CREATE TABLE t(n)")
        c.executemany("INSERT INTO t VALUES (?)", [(1,)] * 7)
        c.commit()
        c.close()
        os.remove(path)
        """)
      try await harness.log.wait(for: "error: there is no database")
      let before = try harness.points().count
      try SystemFileOperations().rename(harness.database + ".new", to: harness.database)
      try await harness.waitForRows(7)
      #expect(try harness.points().count == before + 1)
    }
    #expect(harness.log.count("exists now") == 1)
  }

  @Test func aFolderThatIsReplacedIsFoundByThePoll() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.withAgent(AgentHarness.settings { $0.pollInterval = 200 }) { _ in
      try await harness.waitForPoints(1)
      let files = SystemFileOperations()
      try files.rename(harness.folder.path("data"), to: harness.folder.path("away"))
      try await harness.log.wait(for: "there is no folder")
      try files.makeFolder(harness.folder.path("data"))
      try await harness.createDatabase()
      try await harness.python("c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (1)'); c.commit()")
      try await harness.waitForRows(1)
      try await harness.log.wait(for: "exists now")
    }
    #expect(harness.log.count("there is no folder") == 1)
  }

  @Test func aWriteThroughAHardLinkElsewhereIsFoundByThePoll() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase(journal: "delete")
    #expect(link(harness.database, harness.folder.path("other.db")) == 0)
    try await harness.withAgent(AgentHarness.settings { $0.pollInterval = 300 }) { _ in
      try await harness.waitForPoints(1)
      try await harness.python(
        """
        c = sqlite3.connect(os.path.join(os.path.dirname(path), "..", "other.db"))
        c.execute("INSERT INTO t(s) VALUES (1)")
        c.commit()
        """)
      try await harness.waitForRows(1)
    }
  }
}
