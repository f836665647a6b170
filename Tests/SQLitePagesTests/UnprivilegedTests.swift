import Glibc
import SQLitePages
import Testing
import TestSupport

/// The abilities of an agent that is not the application's user. Each test runs in a process of its
/// own that gives up root's rights if it has them, because root may write everything.
@Suite("Beside an application with read-only files", .ownThread)
struct UnprivilegedTests {
  @Test("A cleanly closed WAL database is read without making a log")
  func closedWAL() async {
    await #expect(processExitsWith: .success) {
      let place = try ReadOnlyPlace { application in application.close() }
      let connection = try DatabaseConnection(path: place.path, access: .observer)
      #expect(connection.isImmutable)
      let snapshot = try DatabaseSnapshot(connection, scratchPath: place.scratch)
      #expect(!snapshot.blocksWriters && snapshot.geometry.journalMode == "wal")
      #expect(firstDifference(try snapshot.image(), place.image, pageSize: 4096) == nil)
      snapshot.end()
      #expect(place.namesBeside() == ["app.db"])
    }
  }

  @Test("A closed WAL database is refused if it is written meanwhile", arguments: ["before the snapshot", "during it"])
  func changedMeanwhile(when: String) async {
    await #expect(processExitsWith: .success) { [when] in
      let place = try ReadOnlyPlace { application in application.close() }
      let connection = try DatabaseConnection(path: place.path, access: .observer)
      if when == "before the snapshot" {
        try place.writeAsOwner()
        #expect(errorKind { _ = try DatabaseSnapshot(connection, scratchPath: place.scratch) } == .unstable)
      } else {
        let snapshot = try DatabaseSnapshot(connection, scratchPath: place.scratch)
        _ = try snapshot.image()
        try place.writeAsOwner()
        #expect(errorKind { _ = try snapshot.image() } == .unstable)
      }
    }
  }

  @Test("An open WAL database is read through its wal-index, mapped read-only")
  func openWAL() async {
    await #expect(processExitsWith: .success) {
      let place = try ReadOnlyPlace { _ in }
      let connection = try DatabaseConnection(path: place.path, access: .observer)
      #expect(!connection.isImmutable)
      let snapshot = try DatabaseSnapshot(connection, scratchPath: place.scratch)
      #expect(snapshot.position.wal != nil)
      #expect(firstDifference(try snapshot.image(), place.image, pageSize: 4096) == nil)
      #expect(place.scratchNames().isEmpty)
    }
  }

  /// No process locks the `-shm` of a killed application, so a reader that cannot write it cannot
  /// trust it: SQLite keeps a private wal-index, out of reach, and its backup call copies the
  /// pages.
  @Test("A killed application's log is read through SQLite's backup call")
  func throughSQLite() async {
    await #expect(processExitsWith: .success) {
      let place = try ReadOnlyPlace(isKilled: true) { _ in }
      let connection = try DatabaseConnection(path: place.path, access: .observer)
      let snapshot = try DatabaseSnapshot(connection, scratchPath: place.scratch)
      #expect(snapshot.position.wal == nil && !snapshot.blocksWriters)
      // Others may not read it, and a process that sweeps the folder finds it locked.
      let name = try #require(place.scratchNames().first)
      let file = open(name, O_RDONLY | O_CLOEXEC)
      var status = stat()
      #expect(fstat(file, &status) == 0 && status.st_mode & 0o777 == 0o600)
      #expect(flock(file, LOCK_EX | LOCK_NB) != 0 && place.scratchNames().count == 1)
      let second = try DatabaseSnapshot(
        DatabaseConnection(path: place.path, access: .observer), scratchPath: place.scratch)
      #expect(place.scratchNames().count == 2, "two copies at a time have names of their own")
      second.end()
      #expect(firstDifference(try snapshot.image(), place.image, pageSize: 4096) == nil)
      snapshot.end()
      #expect(place.scratchNames().isEmpty)
    }
  }

  @Test("A rollback-journal database is read under its own locks")
  func rollbackJournal() async {
    await #expect(processExitsWith: .success) {
      let place = try ReadOnlyPlace(journalMode: "delete") { _ in }
      let connection = try DatabaseConnection(path: place.path, access: .observer)
      #expect(!connection.isImmutable)
      let snapshot = try DatabaseSnapshot(connection, scratchPath: place.scratch)
      #expect(snapshot.blocksWriters)
      #expect(firstDifference(try snapshot.image(), place.image, pageSize: 4096) == nil)
    }
  }
}

/// A database that this process may only read, in a folder where it may not create files.
private final class ReadOnlyPlace {
  let path: String
  let image: [UInt8]
  let scratch: String
  private let folder: TemporaryFolder
  private let own: TemporaryFolder
  /// The application runs in a process of its own, with the rights that this one gives up.
  private let application: ProcessInBackground?

  /// - Parameter leave: decides the end of the application's connection before the rights are given
  ///   up.
  init(journalMode: String = "wal", isKilled: Bool = false, leave: (DatabaseApplication) throws -> Void) throws {
    folder = try TemporaryFolder()
    own = try TemporaryFolder()
    path = folder.path("app.db")
    scratch = own.path("scratch")
    let first = try DatabaseFixture(journalMode: journalMode).create(at: path)
    image = try first.image()
    try leave(first)
    let isOpen = (try? first.value("SELECT 1")) == "1"
    application = isOpen ? try Self.hold(path) : nil
    first.close()
    if isKilled { application?.stop() }
    chmod(folder.path, 0o555)
    for suffix in ["", "-wal", "-shm"] { chmod(path + suffix, 0o444) }
    chmod(own.path, 0o777)
    becomeNobody()
  }

  deinit { becomeSomebody() }

  /// Paths of the copies that SQLite made.
  func scratchNames() -> [String] { ((try? names(in: own.path)) ?? []).map(own.path) }

  func namesBeside() -> Set<String> { (try? names(in: folder.path)) ?? [] }

  /// One commit by an application that starts and ends.
  func writeAsOwner() throws {
    becomeSomebody()
    chmod(folder.path, 0o755)
    chmod(path, 0o644)
    try DatabaseApplication(path, "UPDATE item SET name = 'later'").close()
    becomeNobody()
  }

  private static func hold(_ path: String) throws -> ProcessInBackground {
    let script = """
      import sqlite3, sys, time
      db = sqlite3.connect(sys.argv[1], isolation_level=None)
      db.execute("SELECT count(*) FROM item").fetchall()
      print("open", flush=True)
      time.sleep(600)
      """
    let process = try ProcessInBackground("python3", ["-c", script, path])
    try process.waitForLine("open")
    return process
  }
}
