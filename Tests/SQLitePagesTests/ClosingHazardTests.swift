import Glibc
import Testing
import TestSupport

@testable import SQLitePages

/// No byte goes into a file that took the database's place while its log was in use.
@Suite("Closing beside another file", .ownThread)
struct ClosingHazardTests {
  let place: ClosingPlace

  init() throws { place = try ClosingPlace() }

  /// Hazard e12: the application exits while we are connected, somebody copies a file over the database, and we close.
  @Test("A file copied over, by which its times move or not", arguments: [["cp"], ["cp", "-p"]])
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

  @Test("A file moved over")
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

  @Test("A file copied over after part of a checkpoint")
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

  /// All of the log was in the old file. Left behind, it would be applied to the new one; removed, it takes nothing away.
  @Test("A file copied over after a whole checkpoint loses the old log, and not a byte")
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

  /// What tells the second observer that no application is there any more is the order of writes alone: the wal-index was
  /// never without somebody who held it.
  @Test("A file copied over while only we hold the old log, by whoever of us closes last")
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

  @Test("A database and its log copied over together are both left alone")
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

  @Test("chmod is no overwriting")
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

  // MARK: What the rule rests on

  @Test("The wal-index counts no change after a recovery of ours, however it comes about", arguments: [true, false])
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

  @Test("It counts on while somebody has the database open, and starts anew when nobody has")
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
