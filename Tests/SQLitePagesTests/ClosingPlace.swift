import Glibc
import Testing
import TestSupport

@testable import SQLitePages

/// A database in WAL mode, with operations of an application, an observer of ours and an operator.
final class ClosingPlace {
  let folder: TemporaryFolder
  let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.path("app.db")
    try DatabaseFixture(journalMode: "wal", rows: 300).create(at: path).close()
    // So that no later stamp can equal that of the fixture.
    usleep(25_000)
  }

  static let update = "UPDATE item SET name = 'new', body = randomblob(900) WHERE id % 3 = 0"
  /// Lets the log grow without limit.
  static let keep = "PRAGMA wal_autocheckpoint = 0"

  func observe() throws -> DatabaseConnection { try DatabaseConnection(path: path, access: .observer) }

  /// A database of similar size: SQLite itself refuses to checkpoint into a much smaller file.
  func makeReplacement() throws -> [UInt8] {
    let other = try DatabaseApplication(folder.path("new.db"), "CREATE TABLE u (x)")
    try other.run("INSERT INTO u SELECT randomblob(900) FROM (\(DatabaseFixture.numbers(600)))")
    other.close()
    return try #require(try folder.read("new.db"))
  }

  /// Runs a program of its own, as an operator would: `cp` keeps the inode of its target, `mv`
  /// brings one.
  func replace(by command: String...) throws {
    let arguments = Array(command.dropFirst()) + [folder.path("new.db"), path]
    #expect(try Shell.run(command[0], arguments).status == 0)
  }

  func expectClosed(_ connection: DatabaseConnection, new: Int = 100) throws {
    #expect(connection.closing?.mayCheckpoint == true, "\(connection.closing?.reason ?? "not closed")")
    #expect(connection.closing?.warning == nil)
    #expect(try names(in: folder.path).filter { $0.hasPrefix("app.db") } == ["app.db"])
    let after = try DatabaseApplication(path)
    #expect(try after.value("PRAGMA integrity_check") == "ok")
    #expect(try after.value("SELECT count(*) FROM item WHERE name = 'new'") == String(new))
  }

  /// A log whose first part was copied by a checkpoint; a snapshot of ours kept the checkpoint from
  /// the rest.
  func partlyCheckpointed() throws -> (DatabaseConnection, DatabaseApplication) {
    let application = try DatabaseApplication(path, Self.keep)
    let connection = try observe()
    try application.run("UPDATE item SET name = 'new', body = randomblob(900) WHERE id <= 100")
    let snapshot = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch"))
    try application.run("UPDATE item SET name = 'new', body = randomblob(900) WHERE id BETWEEN 101 AND 150")
    usleep(25_000)
    try application.run("PRAGMA wal_checkpoint")
    snapshot.end()
    let log = try #require(connection.closingFacts().log)
    #expect(log.backfilled > 0 && log.backfilled < log.maxFrame)
    return (connection, application)
  }

  /// Leaves a database with commits in its log, as a killed process does.
  func crash(at path: String) throws {
    if path != self.path { try DatabaseFixture(journalMode: "wal", rows: 300).create(at: path).close() }
    let application = try StagedApplication(path, folder: folder, [.open, .run(Self.keep), .run(Self.update), .wait])
    application.kill()
    #expect(access(path + "-wal", F_OK) == 0)
  }
}
