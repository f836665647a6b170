import Glibc
import Names
import Testing
import TestSupport

@testable import SQLitePages

/// An application that opened and closed its own database file once more, to copy it, has lost its
/// POSIX locks and continues to write. By SQLite's locks this connection then seems the last; its
/// closing must not remove the log.
@Suite("Beside an application that has lost its locks", .ownThread)
struct LostLocksTests {
  let place: ClosingPlace

  init() throws { place = try ClosingPlace() }

  private func application(_ more: StagedApplication.Step...) throws -> StagedApplication {
    try StagedApplication(
      place.path, folder: place.folder,
      [.open, .run(ClosingPlace.keep), .run(ClosingPlace.update), .dropLocks, .wait] + more)
  }

  private var lateRows: String? {
    get throws { try DatabaseApplication(place.path).value("SELECT count(*) FROM item WHERE name = 'late'") }
  }

  private static let late = StagedApplication.Step.run("UPDATE item SET name = 'late'")

  @Test("When an observer closes, the application's log stays", arguments: [false, true])
  func observer(isCheckpointed: Bool) throws {
    let application = try application(.run("UPDATE item SET name = 'x'"), .wait, Self.late)
    let connection = try place.observe()
    try application.goOn()
    if isCheckpointed { try DatabaseApplication(place.path, checkpointsOnClose: false).run("PRAGMA wal_checkpoint") }
    let before = DatabaseFiles(resolvedPath: place.path)
    connection.close()
    #expect(connection.closing?.reason.contains("process \(application.id)") == true)
    #expect(DatabaseFiles(resolvedPath: place.path) == before)
    try application.goOn()
    application.kill()
    #expect(try lateRows == "300")
  }

  @Test("The log stays also if only a second thread shows the application's files in /proc", arguments: [false, true])
  func threads(firstEnds: Bool) throws {
    let application = try StagedApplication(
      place.path, folder: place.folder,
      [
        firstEnds ? .endFirstThread : .ownTable, .open, .run(ClosingPlace.keep), .run(ClosingPlace.update), .dropLocks,
        .wait, Self.late,
      ])
    let connection = try place.observe()
    let before = DatabaseFiles(resolvedPath: place.path)
    connection.close()
    #expect(connection.closing?.reason.contains("process \(application.id)") == true)
    #expect(DatabaseFiles(resolvedPath: place.path) == before)
    try application.goOn()
    application.kill()
    #expect(try lateRows == "300")
  }

  @Test("When a connection that wrote closes, the application's log stays")
  func writer() throws {
    let application = try application(Self.late)
    let before = DatabaseFiles(resolvedPath: place.path)
    let connection = try DatabaseConnection(path: place.path, access: .writer)
    try connection.execute("CREATE TABLE restored (x)")
    connection.close()
    #expect(DatabaseFiles(resolvedPath: place.path) == before)
    try application.goOn()
    application.kill()
    #expect(try lateRows == "300")
    #expect(try DatabaseApplication(place.path).value("SELECT count(*) FROM restored") == "0")
  }

  @Test("A database in use by the application is not replaced")
  func exclusive() throws {
    let application = try application(Self.late)
    #expect(errorKind { _ = try ExclusiveAccess(path: place.path, busyTimeout: 0) } == .busy)
    try application.goOn()
    application.kill()
    #expect(try lateRows == "300")
  }

  /// SQLite would empty the index in the middle of the transaction.
  @Test("If the index has no lock either, the database is not opened beside the application")
  func index() throws {
    let application = try StagedApplication(
      place.path, folder: place.folder,
      [
        .open, .run(ClosingPlace.keep), .run(ClosingPlace.update), .dropAllLocks, .run("BEGIN IMMEDIATE"),
        .run("PRAGMA cache_size = 3"), .run("UPDATE item SET name = 'late', body = zeroblob(900)"), .wait,
        .run("COMMIT"), .wait,
      ])
    for access in [DatabaseConnection.Access.observer, .writer, .exclusive] {
      let kind = errorKind { try DatabaseConnection(path: place.path, access: access).close() }
      #expect(kind == .indexUnlocked(OtherProcess(id: application.id, name: "python3")))
    }
    try application.goOn()
    application.kill()
    #expect(try lateRows == "300")
    #expect(try DatabaseApplication(place.path).value("PRAGMA integrity_check") == "ok")
  }

  /// SQLite would take the application's journal for that of a crash and roll it back.
  @Test("A transaction with a rollback journal reaches its end", arguments: ["delete", "persist"])
  func journal(mode: String) throws {
    let path = place.folder.path("old.db")
    try DatabaseFixture(journalMode: mode, rows: 300).create(at: path).close()
    let application = try StagedApplication(
      path, folder: place.folder,
      [
        .open, .run("PRAGMA journal_mode = \(mode)"), .run("PRAGMA cache_size = 3"), .run("BEGIN IMMEDIATE"),
        .run("UPDATE item SET name = 'late', body = zeroblob(900)"), .wait, .dropLocks, .wait, .run("COMMIT"), .wait,
      ])
    #expect(errorKind { try DatabaseConnection(path: path, access: .observer, busyTimeout: 0).close() } != nil)
    try application.goOn()
    let kind = errorKind { try DatabaseConnection(path: path, access: .observer).close() }
    #expect(kind == .journalUnlocked(OtherProcess(id: application.id, name: "python3")))
    try application.goOn()
    #expect(errorKind { try DatabaseConnection(path: path, access: .observer).close() } == nil)
    application.kill()
    let after = try DatabaseApplication(path)
    #expect(try after.value("SELECT count(*) FROM item WHERE name = 'late'") == "300")
    #expect(try after.value("PRAGMA integrity_check") == "ok")
  }

  /// Runs as an agent that is not root, which cannot know about the application.
  @Test("If the application cannot be seen, its log stays", arguments: [false, true])
  func hidden(writes: Bool) async {
    await #expect(processExitsWith: .success) { [writes] in
      let place = try placeForAnybody()
      let application = try StagedApplication(
        place.path, folder: place.folder,
        [
          .open, .run(ClosingPlace.keep), .run(ClosingPlace.update), .dropLocks, .wait,
          .run("UPDATE item SET name = 'x'"), .wait, .run("UPDATE item SET name = 'late'"),
        ])
      openSideFiles(of: place)
      becomeNobody()
      let connection = try DatabaseConnection(path: place.path, access: writes ? .writer : .observer)
      if writes { try connection.execute("CREATE TABLE restored (x)") }
      try application.goOn()
      let (before, size) = (DatabaseFiles(resolvedPath: place.path), FileFacts(path: place.path + "-wal")?.size)
      connection.close()
      #expect(writes || connection.closing?.mayCheckpoint == false)
      #expect(DatabaseFiles(resolvedPath: place.path) == before)
      #expect(FileFacts(path: place.path + "-wal")?.size == size)
      try application.goOn()
      application.kill()
      becomeSomebody()
      #expect(try DatabaseApplication(place.path).value("SELECT count(*) FROM item WHERE name = 'late'") == "300")
    }
  }

  /// Runs as an agent that is not root, in the middle of a transaction. A crash leaves the same
  /// files, so the doubt ends after a time.
  @Test("If the application cannot be seen, the index is not emptied in its transaction")
  func hiddenTransaction() async {
    await #expect(processExitsWith: .success) {
      let place = try placeForAnybody()
      let spill = StagedApplication.Step.run("UPDATE item SET name = 'late', body = zeroblob(900)")
      let application = try StagedApplication(
        place.path, folder: place.folder,
        [
          .open, .run(ClosingPlace.keep), .run(ClosingPlace.update), .run("PRAGMA cache_size = 3"), .dropAllLocks,
          .wait,
          .run("BEGIN IMMEDIATE"), spill, .dropAllLocks, .wait, .run("COMMIT"), .wait, .run("BEGIN IMMEDIATE"),
          // Other content, because SQLite writes no page without a change.
          .run("UPDATE item SET name = 'other', body = zeroblob(900)"), .dropAllLocks, .wait,
        ])
      openSideFiles(of: place)
      func kind() -> DatabaseError.Kind? {
        becomeNobody()
        defer { becomeSomebody() }
        return errorKind { try DatabaseConnection(path: place.path, access: .observer).close() }
      }
      #expect(kind() == nil, "no transaction")
      try application.goOn()
      #expect(kind() == .transactionInDoubt)
      try application.goOn()
      let reader = try DatabaseApplication(place.path, checkpointsOnClose: false)
      let seen = try reader.value("SELECT count(*) FROM item WHERE name = 'late'")
      reader.close()
      #expect(seen == "300")
      #expect(kind() == nil, "no transaction any more")
      try application.goOn()
      application.kill()
      #expect(kind() == .transactionInDoubt)
      #expect(try Shell.run("touch", ["-d", "1 hour ago", place.path + "-wal"]).status == 0)
      #expect(kind() == nil, "a crash")
    }
  }

  @Test(
    "If the application cannot be seen, a connection that closes in its transaction leaves the log alone",
    arguments: [false, true])
  func hiddenTransactionAtClosing(writes: Bool) async {
    await #expect(processExitsWith: .success) { [writes] in
      let place = try placeForAnybody()
      let application = try StagedApplication(
        place.path, folder: place.folder,
        [
          .open, .run(ClosingPlace.keep), .run(ClosingPlace.update), .run("PRAGMA cache_size = 3"), .wait,
          .run("BEGIN IMMEDIATE"), .run("UPDATE item SET name = 'late', body = zeroblob(900)"), .dropAllLocks, .wait,
          .run("COMMIT"), .wait,
        ])
      openSideFiles(of: place)
      becomeNobody()
      let connection = try DatabaseConnection(path: place.path, access: writes ? .writer : .observer)
      if writes { try connection.execute("CREATE TABLE restored (x)") }
      try application.goOn()
      connection.close()
      becomeSomebody()
      try application.goOn()
      application.kill()
      #expect(try DatabaseApplication(place.path).value("SELECT count(*) FROM item WHERE name = 'late'") == "300")
    }
  }

  @Test("If the application cannot be seen, its transaction with a rollback journal is not rolled back")
  func hiddenJournal() async {
    await #expect(processExitsWith: .success) {
      let place = try ClosingPlace()
      chmod(place.folder.path, 0o777)
      let path = place.folder.path("old.db")
      try DatabaseFixture(journalMode: "delete", rows: 300).create(at: path).close()
      chmod(path, 0o666)
      let application = try StagedApplication(
        path, folder: place.folder,
        [
          .open, .run("PRAGMA cache_size = 3"), .run("BEGIN IMMEDIATE"),
          .run("UPDATE item SET name = 'late', body = zeroblob(900)"), .dropLocks, .wait, .run("COMMIT"), .wait,
        ])
      func kind() -> DatabaseError.Kind? {
        becomeNobody()
        defer { becomeSomebody() }
        return errorKind { try DatabaseConnection(path: path, access: .observer).close() }
      }
      #expect(kind() == .transactionInDoubt)
      try application.goOn()
      #expect(kind() == nil)
      application.kill()
      let seen = try DatabaseApplication(path).value("SELECT count(*) FROM item WHERE name = 'late'")
      #expect(seen == "300")
    }
  }
}

/// A database that a process of another user may open, as an agent that is not root does.
///
/// - Parameter isNobodys: that user is also the owner of the database, and of the log that root makes
///   beside it.
func placeForAnybody(isNobodys: Bool = false) throws -> ClosingPlace {
  let place = try ClosingPlace()
  chmod(place.folder.path, 0o777)
  chmod(place.path, 0o666)
  if isNobodys { chown(place.path, 65534, 65534) }
  return place
}

/// Gives the same rights to the files that the application has made since.
func openSideFiles(of place: ClosingPlace) {
  for suffix in ["-wal", "-shm"] { chmod(place.path + suffix, 0o666) }
}

/// A log at the path is only read if it is the one that the applications write.
@Suite("A log in another place", .ownThread)
struct MisplacedLogTests {
  let place: ClosingPlace

  init() throws { place = try ClosingPlace() }

  private func kind(of access: DatabaseConnection.Access, at path: String? = nil) -> DatabaseError.Kind? {
    errorKind { try DatabaseConnection(path: path ?? place.path, access: access).close() }
  }

  @Test("A deleted log is reported until the process that has it open closes the database")
  func deleted() throws {
    let application = try StagedApplication(
      place.path, folder: place.folder, [.open, .run(ClosingPlace.update), .wait, .close])
    for suffix in ["-wal", "-shm"] { unlink(place.path + suffix) }
    for access in [DatabaseConnection.Access.observer, .writer, .exclusive] {
      #expect(kind(of: access) == .logDeleted(OtherProcess(id: application.id, name: "python3")))
    }
    #expect(try !names(in: place.folder.path).contains("app.db-wal"), "no second log was made")
    // Closing folds in the deleted log, because no connection of ours is in the way.
    try application.goOn()
    #expect(kind(of: .observer) == nil)
    #expect(try DatabaseApplication(place.path).value("SELECT count(*) FROM item WHERE name = 'new'") == "100")
  }

  /// One of several workers opens the database after the deletion.
  @Test("A deleted log is found beside the new log of another process")
  func deletedBesideAnother() throws {
    let first = try StagedApplication(place.path, folder: place.folder, [.open, .run(ClosingPlace.update), .wait])
    for suffix in ["-wal", "-shm"] { unlink(place.path + suffix) }
    let second = try DatabaseApplication(place.path)
    _ = try second.value("SELECT count(*) FROM item")
    #expect(kind(of: .observer) == .logDeleted(OtherProcess(id: first.id, name: "python3")))
    let files = DatabaseFiles(resolvedPath: place.path)
    #expect(files.wal != nil)
    // One check of the same files is enough.
    try DatabaseConnection(path: place.path, access: .observer, known: files).close()
    second.close()
  }

  @Test("A process is not reported if it also has a new log or has another database open")
  func others() throws {
    let application = try StagedApplication(
      place.path, folder: place.folder, [.open, .run(ClosingPlace.update), .wait, .close])
    #expect(MisplacedLog.find(of: place.path) == [])
    for suffix in ["-wal", "-shm"] { unlink(place.path + suffix) }
    #expect(MisplacedLog.find(of: place.path).map(\.process.id) == [application.id])
    #expect(try Shell.run("cp", [place.path, place.folder.path("other.db")]).status == 0)
    #expect(MisplacedLog.find(of: place.folder.path("other.db")) == [])
    #expect(MisplacedLog.find(of: place.folder.path("new.db")) == [])
  }

  enum Removal: CaseIterable {
    case linkedElsewhere, bothMoved, logRenamed, indexDeleted, oddName
  }

  /// The first two are those of `cp -al` and of `mv`.
  @Test("A log is found however it disappeared", arguments: Removal.allCases)
  func away(how: Removal) throws {
    let application = try StagedApplication(
      place.path, folder: place.folder, [.open, .run(ClosingPlace.update), .wait, .close])
    mkdir(place.folder.path("deep"), 0o755)
    let deep = place.folder.path("deep/app.db")
    var path = place.path
    switch how {
    case .linkedElsewhere:
      #expect(link(path + "-wal", deep + "-wal") == 0)
      for suffix in ["-wal", "-shm"] { unlink(path + suffix) }
    case .bothMoved: for suffix in ["-wal", "-shm"] { rename(path + suffix, deep + suffix) }
    case .logRenamed: rename(path + "-wal", path + ".old")
    case .indexDeleted: unlink(path + "-shm")
    case .oddName:
      // Byte FE, which occurs in no UTF-8 text.
      path = place.folder.path("a\u{10FEFE}.db")
      for suffix in ["", "-wal", "-shm"] { rename((place.path + suffix).raw, (path + suffix).raw) }
      for suffix in ["-wal", "-shm"] { unlink((path + suffix).raw) }
    }
    let process = OtherProcess(id: application.id, name: "python3")
    for access in [DatabaseConnection.Access.observer, .writer, .exclusive] {
      #expect(kind(of: access, at: path) == .logDeleted(process))
    }
  }

  @Test("A missing index beside a known log is searched for")
  func indexOfKnownLog() throws {
    let application = try StagedApplication(
      place.path, folder: place.folder, [.open, .run(ClosingPlace.update), .wait, .close])
    let files = DatabaseFiles(resolvedPath: place.path)
    unlink(place.path + "-shm")
    let found = errorKind { try DatabaseConnection(path: place.path, access: .observer, known: files).close() }
    #expect(found == .logDeleted(OtherProcess(id: application.id, name: "python3")))
  }

  /// A container does this if it mounts the file alone: then the file has one name in both.
  @Test("A process that opened the file by another name is found")
  func otherName() throws {
    let other = place.folder.path("other.db")
    #expect(link(place.path, other) == 0)
    let application = try StagedApplication(
      place.path, folder: place.folder, [.open, .run(ClosingPlace.update), .wait, .close])
    let process = OtherProcess(id: application.id, name: "python3")
    #expect(MisplacedLog.find(of: other) == [MisplacedLog(process: process, place: .beside(name: place.path))])
    #expect(MisplacedLog.find(of: place.path) == [])
  }

  @Test("The log of another database of the same process is ignored", arguments: [false, true])
  func tenants(isDeleted: Bool) throws {
    mkdir(place.folder.path("x"), 0o755)
    let path = place.folder.path("x/app.db")
    try DatabaseFixture(journalMode: "wal").create(at: path).close()
    let application = try StagedApplication(
      place.path, folder: place.folder, [.keepOpen(path), .open, .run(ClosingPlace.update), .wait, .close])
    if isDeleted { for suffix in ["", "-wal", "-shm"] { unlink(place.path + suffix) } }
    #expect(kind(of: .observer, at: path) == nil)
    application.kill()
  }

  /// Programs that copy read both, and commit nothing.
  @Test("A process that only reads a database and other logs is ignored")
  func reader() throws {
    let log = place.folder.path("other-wal")
    #expect(try Shell.run("touch", [log]).status == 0)
    let script = "import sys, time; f = [open(p, 'rb') for p in sys.argv[1:]]; print('r', flush=True); time.sleep(60)"
    let copier = try ProcessInBackground("python3", ["-c", script, place.path, log])
    defer { copier.stop() }
    try copier.waitForLine("r")
    #expect(MisplacedLog.find(of: place.path) == [])
  }

  @Test(
    "If a log exists beside another name of the file, the database is refused", arguments: ["app2.db", "deep/app.db"])
  func hardLink(name: String) throws {
    let other = place.folder.path(name)
    mkdir(place.folder.path("deep"), 0o755)
    #expect(link(place.path, other) == 0)
    let application = try DatabaseApplication(place.path, ClosingPlace.update)
    let before = try FolderDigest.of(place.folder.path, times: true)
    let found = kind(of: .observer, at: other)
    #expect(found == .hardLinked(other: place.path))
    #expect(before.differences(to: try FolderDigest.of(place.folder.path, times: true)) == [])
    // A log of its own, which a program made and emptied, proves nothing about the other one.
    #expect(try Shell.run("touch", [other + "-wal"]).status == 0)
    #expect(kind(of: .observer, at: other) == .hardLinked(other: place.path))
    unlink(other + "-wal")
    #expect(kind(of: .observer) == nil, "its own name has the log")
    application.close()
  }

  @Test("Names beside it without any log are harmless, and names elsewhere are not known to be")
  func harmlessLinks() throws {
    #expect(HardLinks(of: place.path) == nil)
    #expect(link(place.path, place.folder.path("app2.db")) == 0)
    #expect(HardLinks(of: place.path)?.beside == [place.folder.path("app2.db")])
    #expect(kind(of: .observer) == nil)
    for folder in ["deep", "deep/er"] { mkdir(place.folder.path(folder), 0o755) }
    #expect(link(place.path, place.folder.path("deep/app.db")) == 0)
    #expect(kind(of: .observer) == nil, "as cp -al leaves it")
    #expect(link(place.path, place.folder.path("deep/er/app.db")) == 0)
    #expect(kind(of: .observer) == .hardLinked(other: place.folder.path("app2.db")))
  }

  @Test(
    "A database file that is mounted alone is refused if no log is beside it",
    .enabled(if: geteuid() == 0, "only root mounts"))
  func mountedAlone() throws {
    let application = try DatabaseApplication(place.path, ClosingPlace.update)
    defer { application.close() }
    let alone = place.folder.path("alone \\ file.db")
    #expect(try Shell.run("touch", [alone]).status == 0)
    // A container without the right to mount cannot ask this.
    guard try Shell.run("mount", ["--bind", place.path, alone]).status == 0 else { return }
    defer { _ = try? Shell.run("umount", [alone]) }
    #expect(MountPoints.include(alone) && !MountPoints.include(place.path))
    #expect(kind(of: .observer, at: alone) == .mountedAlone)
    #expect(kind(of: .observer) == nil, "its folder is seen under its own name")
    application.close()
    #expect(kind(of: .observer, at: alone) == .mountedAlone)
  }

  @Test("With a rollback journal only a journal of another name is in the way")
  func rollbackJournal() throws {
    let path = place.folder.path("old.db")
    try DatabaseFixture(journalMode: "delete").create(at: path).close()
    mkdir(place.folder.path("deep"), 0o755)
    let alias = place.folder.path("deep/alias")
    #expect(link(path, alias) == 0)
    for name in [path, alias] { #expect(kind(of: .observer, at: name) == nil) }
    let application = try StagedApplication(
      path, folder: place.folder,
      [
        .open, .run("PRAGMA cache_size = 3"), .run("BEGIN IMMEDIATE"), .run("UPDATE item SET body = zeroblob(900)"),
        .wait,
      ])
    application.kill()
    #expect(kind(of: .observer, at: alias) == .hardLinked(other: path))
    #expect(kind(of: .observer, at: path) == nil, "its own name rolls the journal back")
    #expect(kind(of: .observer, at: alias) == nil)
  }
}
