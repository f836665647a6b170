import BackupEngine
import Glibc
import Testing
import TestSupport

@testable import BackupAgent

@Suite(.ownThread) struct WatchPlanTests {
  private let files = SystemFileOperations()

  private func plan(_ path: String) -> WatchPlan { WatchPlan(WatchedPath(path), files) }

  @Test func theFolderIsWatchedForFilesAndThoseAboveForTheirOwnMoves() throws {
    let folder = try TemporaryFolder()
    try files.makeFolder(folder.path("data"))
    let plan = plan(folder.path("data/app.db"))
    #expect(plan.folders[ExactName(folder.path("data"))] == .init(files: true))
    #expect(plan.folders[ExactName(folder.path)] == .init())
    #expect(plan.folders[ExactName("/")] == nil)
    let above = try #require(plan.folders[ExactName(folder.path)])
    #expect(above.mask() & UInt32(IN_CREATE | IN_DELETE | IN_MODIFY) == 0, "/tmp must not wake the agent")
    #expect(above.mask() & UInt32(IN_MOVE_SELF) != 0)
  }

  @Test func whereFoldersAreMissingTheNearestOneAwaitsTheNext() throws {
    let folder = try TemporaryFolder()
    let plan = plan(folder.path("a/b/app.db"))
    #expect(plan.folders[ExactName(folder.path)] == .init(entries: [ExactName("a")]))
    #expect(plan.folders[ExactName(folder.path("a"))] == nil)
    #expect(plan.folders.values.allSatisfy { !$0.files })
  }

  @Test func everyLinkOnTheWayIsWatched() throws {
    let folder = try TemporaryFolder()
    for name in ["v1", "links"] { try files.makeFolder(folder.path(name)) }
    #expect(symlink("v1", folder.path("current")) == 0)
    #expect(symlink("../current/app.db", folder.path("links/app")) == 0)
    let plan = plan(folder.path("links/app"))
    #expect(plan.folder == ExactName(folder.path("v1")))
    #expect(plan.folders[ExactName(folder.path("links"))]?.entries == [ExactName("app")])
    #expect(plan.folders[ExactName(folder.path)]?.entries == [ExactName("current")])
  }

  @Test func aPatternIsWatchedWhereNewMatchesMayAppear() throws {
    let folder = try TemporaryFolder()
    for name in ["t", "t/a", "t/b", "t/.hidden"] { try files.makeFolder(folder.path(name)) }
    try folder.write("t/a/app.db", [])
    let plan = WatchPlan(patterns: [folder.path("t/*/app.db")], files)
    #expect(plan.folders[ExactName(folder.path("t"))] == .init(patterns: [ExactName("*")]))
    #expect(plan.folders[ExactName(folder.path("t/b"))] == .init(entries: [ExactName("app.db")]))
    #expect(plan.folders[ExactName(folder.path("t/a"))] == nil, "its database is watched by itself")
    #expect(plan.folders[ExactName(folder.path("t/.hidden"))] == nil)
    #expect(plan.folders.values.allSatisfy { !$0.files && $0.mask() & UInt32(IN_MODIFY) == 0 })
    let missing = WatchPlan(patterns: [folder.path("later/*/app.db"), folder.path("t/a/*.db")], files)
    #expect(missing.folders[ExactName(folder.path)]?.entries == [ExactName("later")])
    #expect(missing.folders[ExactName(folder.path("t/a"))] == .init(patterns: [ExactName("*.db")]))
  }

  @Test(arguments: [
    ("new.db", true), ("new.db-journal", false), ("new.db-wal", false), (".new.db", false), ("x", false),
  ])
  func aCommitsSideFilesAreNoNewMatches(name: String, concerns: Bool) {
    let interest = WatchPlan.Interest(patterns: [ExactName("*.db*")])
    #expect(Array(name.utf8).withUnsafeBytes { interest.concerns($0) } == concerns)
  }

  @Test func namesAreComparedByteForByte() {
    let plan = plan("/somewhere/caf\u{e9}.db")
    #expect(Array("caf\u{e9}.db".utf8).withUnsafeBytes { plan.role(of: $0) } == .database)
    #expect(Array("cafe\u{301}.db".utf8).withUnsafeBytes { plan.role(of: $0) } == nil)
    #expect([0x63, 0x61, 0x66, 0xff, 0x2e, 0x64, 0x62].withUnsafeBytes { plan.role(of: $0) } == nil)
    #expect(ExactName("caf\u{e9}") != ExactName("cafe\u{301}"))
  }
}
