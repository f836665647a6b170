import BackupEngine
import Glibc
import Testing
import TestSupport

@testable import BackupAgent

/// The agent detects changes of the files' names and folders at once: none of these agents ever
/// polls.
@Suite(.ownThread) struct AgentFolderTests {
  private static let insert =
    "c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (1)'); c.commit(); c.close()"
  private let files = SystemFileOperations()

  private func settings() -> AgentSettings {
    AgentHarness.settings { $0.pollInterval = 3_600_000 }
  }

  /// Creates a database with this many rows at a path in the harness's folder.
  private func create(_ harness: AgentHarness, _ path: String, rows: Int) async throws {
    let full = harness.folder.path(path)
    try await offPool {
      let result = try Python.run(
        script: """
          import sqlite3, sys
          c = sqlite3.connect(sys.argv[1])
          c.execute("CREATE TABLE t(n INTEGER PRIMARY KEY, s)")
          c.executemany("INSERT INTO t(s) VALUES (?)", [("x",)] * int(sys.argv[2]))
          c.commit()
          c.close()
          """, arguments: [full, "\(rows)"])
      #expect(result.status == 0, "\(result.stderr)")
    }
  }

  @Test func anotherFileIsMovedOver() async throws {
    let harness = try AgentHarness()
    try await create(harness, "data/app.db", rows: 1)
    try await create(harness, "data/new.db", rows: 5)
    try await harness.withAgent(settings()) { _ in
      try await harness.waitForRows(1)
      try files.rename(harness.folder.path("data/new.db"), to: harness.database)
      try await harness.waitForRows(5)
    }
    #expect(try harness.points().count == 2)
    #expect(harness.log.count("there is no database") + harness.log.count("no longer exists") == 0)
  }

  @Test func theDatabaseIsRemovedAndMadeAnew() async throws {
    let harness = try AgentHarness()
    try await create(harness, "data/app.db", rows: 1)
    try await harness.withAgent(settings()) { _ in
      try await harness.waitForRows(1)
      try files.unlink(harness.database)
      try await harness.log.wait(for: "error: there is no database")
      try await create(harness, "data/app.db", rows: 3)
      try await harness.waitForRows(3)
      try await harness.log.wait(for: "exists now")
    }
  }

  enum Accident: CaseIterable {
    case folderMoved, folderRemoved, parentMoved, parentRemoved
  }

  @Test(arguments: Accident.allCases)
  func theFolderGoesAndComesBack(accident: Accident) async throws {
    let harness = try AgentHarness(folder: "srv/data")
    try await create(harness, "srv/data/app.db", rows: 1)
    try await harness.withAgent(settings()) { _ in
      try await harness.waitForRows(1)
      let gone = harness.folder.path(accident == .folderMoved || accident == .folderRemoved ? "srv/data" : "srv")
      switch accident {
      case .folderMoved, .parentMoved: try files.rename(gone, to: harness.folder.path("away"))
      case .folderRemoved, .parentRemoved: _ = try Shell.run("rm", ["-r", gone])
      }
      try await harness.log.wait(for: "error: there is no folder")
      try files.makeFolders(harness.folder.path("srv/data"))
      try await harness.log.wait(for: "exists now")
      try await create(harness, "srv/data/app.db", rows: 4)
      try await harness.waitForRows(4)
      try await harness.python(Self.insert)
      try await harness.waitForRows(5)
      #expect(await harness.control.status().first?.alarms == [])
    }
    #expect(harness.log.count("error: there is no folder") == 1)
  }

  enum Link: String, CaseIterable {
    case file, folder
  }

  @Test(arguments: Link.allCases)
  func aLinkIsSwitched(link: Link) async throws {
    let harness = try AgentHarness(folder: "links", database: link == .file ? "app.db" : "current/app.db")
    for (name, rows) in [("one", 2), ("two", 6)] {
      try files.makeFolder(harness.folder.path(name))
      try await create(harness, "\(name)/app.db", rows: rows)
    }
    let place = link == .file ? harness.database : harness.folder.path("links/current")
    func target(_ name: String) -> String { link == .file ? "../\(name)/app.db" : "../\(name)" }
    #expect(symlink(target("one"), place) == 0)
    try await harness.withAgent(settings()) { _ in
      try await harness.waitForRows(2)
      // In one step, as deployments do it.
      #expect(symlink(target("two"), place + ".new") == 0)
      try files.rename(place + ".new", to: place)
      try await harness.waitForRows(6)
      // The agent watches the new folder and no longer the old one.
      try await create(harness, "two/new.db", rows: 7)
      try files.rename(harness.folder.path("two/new.db"), to: harness.folder.path("two/app.db"))
      try await harness.waitForRows(7)
      let status = try #require(await harness.control.status().first)
      #expect(status.isWatching && status.path == harness.folder.path("two/app.db"))
    }
  }

  @Test(arguments: [ENOSPC, EMFILE])
  func whereNothingCanBeWatchedThePollDoesIt(code: Int32) async throws {
    let harness = try AgentHarness()
    try await create(harness, "data/app.db", rows: 1)
    let calls = InotifyCalls(
      open: { code == EMFILE ? failing(code) : InotifyCalls.system.open() }, add: { _, _, _ in failing(code) })
    let settings = AgentHarness.settings { $0.pollInterval = 200 }
    try await harness.withAgent(settings, parts: { $0.inotify = calls }) { _ in
      try await harness.waitForRows(1)
      #expect(await harness.control.status().first?.isWatching == false)
      #expect(await harness.control.status().first?.alarms.map(\.kind) == ["unwatched"])
      try await harness.python(Self.insert)
      try await harness.waitForRows(2)
    }
    #expect(harness.log.count("error: cannot watch") == 1)
  }
}

private func failing(_ code: Int32) -> Int32 {
  errno = code
  return -1
}
