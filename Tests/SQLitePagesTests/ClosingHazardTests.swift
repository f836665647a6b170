import CSQLite
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import SQLitePages

/// Closing writes no byte into a file that replaced the database while its log was in use.
@Suite("Closing beside another file", .ownThread)
struct ClosingHazardTests {
  let place: ClosingPlace

  init() throws { place = try ClosingPlace() }

  /// Hazard e12: the application exits while we are connected, an operator copies a file over the
  /// database, and we close.
  @Test(
    "A file copied over the database keeps its bytes, with new or old times", arguments: [["cp"], ["cp", "-p"]])
  func copiedOver(command: [String]) throws {
    let wanted = try place.makeReplacement()
    let application = try DatabaseApplication(place.path, ClosingPlace.keep)
    try application.run(ClosingPlace.update)
    let connection = try place.observe()
    try application.run(ClosingPlace.update)
    application.close()
    try place.replace(by: command[0], command.count > 1 ? command[1] : "--")
    connection.close()
    #expect(try place.folder.read("app.db") == wanted)
    #expect(try names(in: place.folder.path).contains("app.db-wal"))
    #expect(connection.closing?.mayCheckpoint == false)
    #expect(connection.closing?.warning?.contains("\(place.path) was overwritten") == true)
  }

  /// The flush of the log is the slow part of a closing: C13 in `contrib/docs/ARCHITECTURE.md`.
  @Test("A file copied over the database during the flush of its log keeps its bytes")
  func copiedOverInTheFlush() throws {
    let wanted = try place.makeReplacement()
    let application = try DatabaseApplication(place.path, ClosingPlace.keep)
    let connection = try place.observe()
    try application.run(ClosingPlace.update)
    application.close()
    #expect(ClosingRule.decide(connection.closingFacts()).mayCheckpoint)
    let flush = try FlushOfLog(connection, during: ["cp", place.folder.path("new.db"), place.path])
    connection.close()
    #expect(flush.command == nil, "the log was not flushed")
    #expect(try place.folder.read("app.db") == wanted)
    #expect(try names(in: place.folder.path).contains("app.db-wal"))
    #expect(connection.closing?.mayCheckpoint == false)
    #expect(connection.closing?.warning?.contains("\(place.path) was overwritten") == true)
  }

  @Test("A file moved over the database keeps its bytes")
  func movedOver() throws {
    let wanted = try place.makeReplacement()
    let application = try DatabaseApplication(place.path, ClosingPlace.keep)
    let connection = try place.observe()
    try application.run(ClosingPlace.update)
    application.close()
    try place.replace(by: "mv", "--")
    connection.close()
    #expect(try place.folder.read("app.db") == wanted)
    #expect(try names(in: place.folder.path).contains("app.db-wal"))
    #expect(connection.closing?.warning?.contains("\(place.path) was replaced") == true)
  }

  @Test("A file copied over the database after part of a checkpoint keeps its bytes")
  func copiedOverPartly() throws {
    let wanted = try place.makeReplacement()
    let (connection, application) = try place.partlyCheckpointed()
    application.close()
    try place.replace(by: "cp", "--")
    connection.close()
    #expect(try place.folder.read("app.db") == wanted)
    #expect(try names(in: place.folder.path).contains("app.db-wal"))
    #expect(connection.closing?.warning?.contains("\(place.path) was overwritten") == true)
  }

  /// The old file contained the whole log. If the log stayed, SQLite would apply it to the new
  /// file; its removal loses no data.
  @Test("A file copied over the database after a whole checkpoint keeps its bytes, and the old log is removed")
  func copiedOverWholly() throws {
    let wanted = try place.makeReplacement()
    let application = try DatabaseApplication(place.path, ClosingPlace.keep)
    let connection = try place.observe()
    try application.run(ClosingPlace.update)
    try application.run("PRAGMA wal_checkpoint")
    application.close()
    try place.replace(by: "cp", "--")
    connection.close()
    #expect(try place.folder.read("app.db") == wanted)
    #expect(try !names(in: place.folder.path).contains("app.db-wal"))
    #expect(try DatabaseApplication(place.path).value("SELECT count(*) FROM u") == "600")
  }

  /// The wal-index always had at least one user, so only the order of writes shows the second
  /// observer that the application has gone.
  @Test("A file copied over the database while only we use the old log keeps its bytes, in either order of our closes")
  func secondObserver() throws {
    let wanted = try place.makeReplacement()
    let application = try DatabaseApplication(place.path, ClosingPlace.keep)
    let agent = try place.observe()
    try application.run(ClosingPlace.update)
    application.close()
    try place.replace(by: "cp", "--")
    usleep(25_000)
    let second = try? place.observe()
    agent.close()
    second?.close()
    #expect(try place.folder.read("app.db") == wanted)
    #expect(try names(in: place.folder.path).contains("app.db-wal"))
  }

  @Test("A database and its log copied over together both stay unchanged")
  func pairCopiedOver() throws {
    let copy = place.folder.path("copy.db")
    try place.crash(at: copy)
    let application = try DatabaseApplication(place.path, ClosingPlace.update)
    let connection = try place.observe()
    try application.run("PRAGMA wal_checkpoint")
    application.close()
    for suffix in ["", "-wal"] { #expect(try Shell.run("cp", [copy + suffix, place.path + suffix]).status == 0) }
    connection.close()
    #expect(try place.folder.read("app.db") == place.folder.read("copy.db"))
    #expect(try place.folder.read("app.db-wal") == place.folder.read("copy.db-wal"))
  }

  @Test("A chmod does not count as an overwrite")
  func changedMode() throws {
    let application = try DatabaseApplication(place.path, ClosingPlace.update)
    let connection = try place.observe()
    application.close()
    chmod(place.path, 0o640)
    let before = try FolderDigest.of(place.folder.path, times: true, ignoring: ["-shm"])
    connection.close()
    #expect(connection.closing?.mayCheckpoint == false && connection.closing?.warning == nil)
    #expect(before.differences(to: try FolderDigest.of(place.folder.path, times: true, ignoring: ["-shm"])) == [])
  }

  // MARK: Facts that the rule relies on

  @Test("The wal-index counts no change after a recovery by us, in each kind of recovery", arguments: [true, false])
  func recoveryCountsNothing(keepsIndex: Bool) throws {
    try place.crash(at: place.path)
    if !keepsIndex { unlink(place.path + "-shm") }
    let before = try [place.path, place.path + "-wal"].map { try FolderDigest.of($0, times: true) }
    let connection = try place.observe()
    let log = try #require(connection.closingFacts().log)
    #expect(log.changeCount == 0 && log.maxFrame > 0 && log.fileMatches)
    connection.close()
    #expect(connection.closing?.mayCheckpoint == false)
    #expect(try [place.path, place.path + "-wal"].map { try FolderDigest.of($0, times: true) } == before)
  }

  @Test("The wal-index counts on while a connection is open, and starts anew when all are closed")
  func countOfChanges() throws {
    let application = try DatabaseApplication(place.path, "UPDATE item SET name = 'a'; UPDATE item SET name = 'b'")
    let connection = try place.observe()
    #expect(connection.closingFacts().log?.changeCount == 2)
    try application.run("PRAGMA wal_checkpoint; UPDATE item SET name = 'c'")
    #expect(connection.closingFacts().log?.changeCount == 3, "a new generation of the log counts on")
    application.close()
    #expect(connection.closingFacts().log?.changeCount == 3)
    connection.close()
    let again = try place.observe()
    #expect(again.closingFacts().log?.changeCount == 0)
  }
}

/// Runs a command during the first flush of a connection's log.
private final class FlushOfLog {
  /// SQLite calls a C function, which can only reach what is global. Only one test uses it.
  private static let pending = Mutex<[String]?>(nil)
  private let methods: UnsafeMutablePointer<sqlite3_io_methods>

  init(_ connection: DatabaseConnection, during command: [String]) throws {
    let log = try #require(SQLiteFile.journal(of: connection.handle))
    methods = .allocate(capacity: 1)
    methods.initialize(to: log.methods)
    methods.pointee.xSync = { _, _ in
      let command = FlushOfLog.pending.withLock { pending in
        defer { pending = nil }
        return pending
      }
      guard let command else { return SQLITE_OK }
      let result = try? Shell.run(command[0], Array(command.dropFirst()))
      return result?.status == 0 ? SQLITE_OK : SQLITE_IOERR
    }
    Self.pending.withLock { $0 = command }
    log.pointer.pointee.pMethods = UnsafePointer(methods)
  }

  /// The connection must be closed by now.
  deinit { methods.deallocate() }

  /// Nil after the first flush.
  var command: [String]? { Self.pending.withLock(\.self) }
}
