import BackupEngine
import BackupPolicy
import Glibc
import Synchronization
import Testing
import TestSupport

@testable import BackupAgent

@Suite(.ownThread) struct FolderWatchesTests {
  private let files = SystemFileOperations()
  private let first = DatabaseID(number: 1)
  private let second = DatabaseID(number: 2)

  private func watch(_ watches: FolderWatches, _ path: String, for id: DatabaseID) throws {
    try watches.apply(WatchPlan(WatchedPath(path), files), to: id)
  }

  @Test func realWritesAreSeenAndReadingIsNot() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("app.db")
    let watches = FolderWatches(.system)
    try watch(watches, path, for: first)
    _ = try Python.run(
      script: "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode=wal'); "
        + "c.execute('CREATE TABLE t(n)'); c.close()", arguments: [path])
    #expect(watches.drain() == [first: [.changed]])
    _ = try DatabaseState.read(
      path, scratchPath: folder.path("scratch"),
      KeptConnection(EngineEnvironment.system(stateFolder: folder.path("state"), logger: LogRecorder().logger)))
    #expect(watches.drain() == [:])
    try files.rename(path, to: folder.path("away.db"))
    #expect(watches.drain() == [first: [.removed]])
  }

  @Test func databasesOfOneFolderShareAWatchAndHearOnlyOfThemselves() throws {
    let folder = try TemporaryFolder()
    let added = Mutex<[String]>([])
    let watches = FolderWatches(
      InotifyCalls(
        open: InotifyCalls.system.open,
        add: { instance, path, mask in
          added.withLock { $0.append(path) }
          return InotifyCalls.system.add(instance, path, mask)
        }))
    try watch(watches, folder.path("one.db"), for: first)
    try watch(watches, folder.path("two.db"), for: second)
    #expect(watches.watches.count == added.withLock { Set($0).count })
    try folder.write("two.db", [1])
    #expect(watches.drain() == [second: [.changed]])
    try watches.apply(nil, to: second)
    try folder.write("two.db", [2])
    try folder.write("one.db-wal", [2])
    #expect(watches.drain() == [first: [.changed]])
    try watches.apply(nil, to: first)
    #expect(watches.watches.isEmpty && watches.numbers.isEmpty)
  }

  @Test func writesCanGoUnheardAndNothingElse() throws {
    let folder = try TemporaryFolder()
    let (one, two) = (try folder.write("one.db", [1]), try folder.write("two.db", [1]))
    let watches = FolderWatches(.system)
    try watch(watches, one, for: first)
    func write(_ name: String) throws -> [DatabaseID: Set<ChangeEvent>] {
      let file = open(folder.path(name), O_WRONLY | O_CLOEXEC)
      Glibc.write(file, "2", 1)
      close(file)
      return watches.drain()
    }
    try watches.subscribe(.names, of: first)
    #expect(try write("one.db") == [:])
    // The slow poll makes the same request again.
    try watch(watches, one, for: first)
    #expect(try write("one.db") == [:])
    try folder.write("one.db-journal", [1])
    try files.unlink(folder.path("one.db-journal"))
    #expect(watches.drain() == [first: [.changed]])
    try watch(watches, two, for: second)
    #expect(try write("two.db") == [second: [.changed]])
    try watches.subscribe(.names, of: second)
    #expect(try write("two.db") == [:])
    try watches.subscribe(.all, of: first)
    #expect(try write("one.db") == [first: [.changed]])
    // A database that is watched anew first receives all events.
    try watches.apply(nil, to: second)
    try watch(watches, two, for: second)
    #expect(try write("two.db") == [second: [.changed]])
  }

  /// A rollback journal raises no event at each commit; a file that is moved over the database
  /// does.
  @Test func onlyMovesCanBeHeard() throws {
    let folder = try TemporaryFolder()
    let one = try folder.write("one.db", [1])
    let watches = FolderWatches(.system)
    try watch(watches, one, for: first)
    try watches.subscribe(.moves, of: first)
    try folder.write("one.db-journal", [1])
    try folder.write("one.db", [2])
    try files.unlink(folder.path("one.db-journal"))
    try files.unlink(one)
    #expect(watches.drain() == [:])
    try files.rename(folder.write("new.db", [3]), to: one)
    #expect(watches.drain() == [first: [.changed]])
    try watches.subscribe(.all, of: first)
    try files.unlink(one)
    #expect(watches.drain() == [first: [.removed]])
  }

  /// A link leads to the database, in its own folder: events at its target are still reported.
  @Test func linksAreHeardOf() throws {
    let folder = try TemporaryFolder()
    try folder.write("real.db", [1])
    try #require(symlink("real.db", folder.path("one.db")) == 0)
    let watches = FolderWatches(.system)
    try watch(watches, folder.path("one.db"), for: first)
    try watches.subscribe(.moves, of: first)
    try files.unlink(folder.path("one.db"))
    #expect(watches.drain() == [first: [.pathChanged]])
  }

  /// A real overflow: the events are not read until the kernel has dropped some.
  @Test func anOverflowConcernsEveryDatabase() throws {
    let folder = try TemporaryFolder()
    let watches = FolderWatches(.system)
    try watch(watches, folder.path("one.db"), for: first)
    try watch(watches, folder.path("other/two.db"), for: second)
    let limit = try String(decoding: #require(readProc("/proc/sys/fs/inotify/max_queued_events")), as: UTF8.self)
    let queue = try #require(Int(limit.split(separator: "\n").first ?? ""))
    for number in 0...queue / 2 {
      let name = folder.path(number % 2 == 0 ? "x" : "y")
      close(open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600))
      unlink(name)
    }
    try folder.write("one.db", [1])
    let events = watches.drain()
    #expect(events[first]?.contains(.overflow) == true)
    #expect(events[second] == [.overflow])
  }

  private func readProc(_ path: String) -> [UInt8]? {
    guard let stream = fopen(path, "re") else { return nil }
    defer { fclose(stream) }
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = fread(&buffer, 1, buffer.count, stream)
    return Array(buffer.prefix(count))
  }

  @Test(arguments: [(ENOSPC, "max_user_watches"), (EMFILE, "max_user_instances")])
  func aLimitThatIsReachedIsToldWithItsName(code: Int32, setting: String) throws {
    let folder = try TemporaryFolder()
    let calls =
      code == EMFILE
      ? InotifyCalls(open: { fail(code) }, add: InotifyCalls.system.add)
      : InotifyCalls(open: InotifyCalls.system.open, add: { _, _, _ in fail(code) })
    let watches = FolderWatches(calls)
    let error = #expect(throws: HoldfastError.self) { try watch(watches, folder.path("app.db"), for: first) }
    #expect(error?.hint?.contains(setting) == true)
    #expect(!watches.isWatching(first))
    #expect(watches.drain() == [:])
  }

  @Test func aFolderThatMovesIsLostAndFoundAtItsOldPathOnly() throws {
    let folder = try TemporaryFolder()
    try files.makeFolder(folder.path("data"))
    let watches = FolderWatches(.system)
    try watch(watches, folder.path("data/app.db"), for: first)
    try files.rename(folder.path("data"), to: folder.path("away"))
    #expect(watches.drain() == [first: [.folderLost]])
    try folder.write("away/app.db", [1])
    #expect(watches.drain() == [:])
    try watch(watches, folder.path("data/app.db"), for: first)
    #expect(!watches.isWatching(first))
    try files.makeFolder(folder.path("data"))
    #expect(watches.drain() == [first: [.pathChanged]])
    try watch(watches, folder.path("data/app.db"), for: first)
    #expect(watches.isWatching(first))
    try folder.write("data/app.db", [1])
    #expect(watches.drain() == [first: [.changed]])
  }

  /// The slow poll's part: no event reported that another folder is now at the path.
  @Test func aWatchThatIsAppliedAgainMovesToTheFolderThatIsThereNow() throws {
    let folder = try TemporaryFolder()
    for name in ["data", "new"] { try files.makeFolder(folder.path(name)) }
    let watches = FolderWatches(.system)
    try watch(watches, folder.path("data/app.db"), for: first)
    try files.rename(folder.path("data"), to: folder.path("old"))
    try files.rename(folder.path("new"), to: folder.path("data"))
    try watch(watches, folder.path("data/app.db"), for: first)
    _ = watches.drain()
    try folder.write("old/app.db", [1])
    #expect(watches.drain() == [:])
    try folder.write("data/app.db", [1])
    #expect(watches.drain() == [first: [.changed]])
  }

  @Test func closingIsReportedOnlyWhileAskedForAndOnlyWhatComesAfter() throws {
    let folder = try TemporaryFolder()
    let (database, log) = (try folder.write("app.db", [1]), try folder.write("app.db-wal", [1]))
    let watches = FolderWatches(.system)
    try watch(watches, database, for: first)
    func openAndClose() { close(open(log, O_RDONLY | O_CLOEXEC)) }
    openAndClose()
    #expect(watches.drain() == [:])
    try watches.startClosing([log, database], for: first)
    #expect(watches.drain() == [:])
    openAndClose()
    #expect(watches.drain() == [first: [.closed]])
    watches.stopClosing(first)
    openAndClose()
    #expect(watches.drain() == [:])
    #expect(throws: HoldfastError.self) { try watches.startClosing([folder.path("none")], for: first) }
  }
}

private func fail(_ code: Int32) -> Int32 {
  errno = code
  return -1
}
