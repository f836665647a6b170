import Glibc
import Testing
import TestSupport

@testable import SQLitePages

/// What our closing does to the log that an application, gone or not, has written beside us.
@Suite("Closing beside an application")
struct ClosingTests {
  let folder: TemporaryFolder
  let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.path("app.db")
    try DatabaseFixture(journalMode: "wal", rows: 300).create(at: path).close()
    // So that no stamp of what follows can be that of the fixture.
    usleep(25_000)
  }

  private static let update = "UPDATE item SET name = 'new', body = randomblob(900) WHERE id % 3 = 0"
  /// A log as long as it gets.
  private static let keep = "PRAGMA wal_autocheckpoint = 0"

  private func observe() throws -> DatabaseConnection { try DatabaseConnection(path: path, access: .observer) }

  /// A database of a like size: into a much smaller file SQLite itself refuses to checkpoint.
  private func makeReplacement() throws -> [UInt8] {
    let other = try DatabaseApplication(folder.path("new.db"), "CREATE TABLE u (x)")
    try other.run("INSERT INTO u SELECT randomblob(900) FROM (\(DatabaseFixture.numbers(600)))")
    other.close()
    return try #require(try folder.read("new.db"))
  }

  /// As an operator would, by a program of its own: `cp` keeps the inode of its target, `mv` brings one.
  private func replace(by command: String...) throws {
    let arguments = Array(command.dropFirst()) + [folder.path("new.db"), path]
    #expect(try Shell.run(command[0], arguments).status == 0)
  }

  private func expectClosed(_ connection: DatabaseConnection, new: Int = 100) throws {
    #expect(connection.closing?.mayCheckpoint == true, "\(connection.closing?.reason ?? "not closed")")
    #expect(connection.closing?.warning == nil)
    #expect(try names(in: folder.path).filter { $0.hasPrefix("app.db") } == ["app.db"])
    let after = try DatabaseApplication(path)
    #expect(try after.value("PRAGMA integrity_check") == "ok")
    #expect(try after.value("SELECT count(*) FROM item WHERE name = 'new'") == String(new))
  }

  // MARK: The application's last close beside us leaves nothing behind

  @Test("It committed before we opened, after it, or both", arguments: [[true, false], [false, true], [true, true]])
  func closesBesideUs(commits: [Bool]) throws {
    let application = try DatabaseApplication(path, Self.keep)
    if commits[0] { try application.run(Self.update) }
    let connection = try observe()
    if commits[1] { try application.run(Self.update) }
    application.close()
    #expect(try names(in: folder.path).contains("app.db-wal"))
    connection.close()
    try expectClosed(connection)
  }

  @Test("Our opening made the log, and it wrote that")
  func opensBesideUs() throws {
    let connection = try observe()
    try DatabaseApplication(path, Self.update).close()
    connection.close()
    try expectClosed(connection)
  }

  @Test("Checkpoints went on meanwhile, beside a snapshot of ours or not", arguments: [true, false], [0, 7])
  func checkpointsBesideUs(holdsSnapshot: Bool, more: Int) throws {
    let application = try DatabaseApplication(path, "PRAGMA wal_autocheckpoint = 20")
    try application.run("UPDATE item SET name = 'begun' WHERE id = 1")
    let connection = try observe()
    let scratch = folder.path("scratch")
    let first = holdsSnapshot ? try DatabaseSnapshot(connection, scratchPath: scratch) : nil
    for id in 1...200 { try application.run("UPDATE item SET name = 'new', body = randomblob(900) WHERE id = \(id)") }
    first?.end()
    for id in 200..<200 + more { try application.run("UPDATE item SET name = 'new' WHERE id = \(id + 1)") }
    application.close()
    connection.close()
    try expectClosed(connection, new: 200 + more)
  }

  /// The application closes right after a checkpoint that a snapshot kept from copying all of the log: the time stamps then
  /// tell nothing, and the copied pages are compared.
  @Test("The last thing that happened was part of a checkpoint")
  func partOfACheckpoint() throws {
    let (connection, application) = try partlyCheckpointed()
    application.close()
    let facts = connection.closingFacts()
    #expect(facts.needsCheckpointedPages && facts.checkpointedPages == .equal)
    connection.close()
    try expectClosed(connection, new: 150)
  }

  @Test("It closes, opens again, commits and closes, beside us")
  func closesTwice() throws {
    let application = try DatabaseApplication(path, "UPDATE item SET name = 'old'")
    let connection = try observe()
    application.close()
    try DatabaseApplication(path, Self.update).close()
    connection.close()
    try expectClosed(connection)
  }

  @Test("In a process of its own")
  func anotherProcess() throws {
    let application = try StagedApplication(
      path, folder: folder, [.open, .run(Self.keep), .run(Self.update), .wait, .close])
    let connection = try observe()
    try application.goOn()
    connection.close()
    try expectClosed(connection)
  }

  @Test("Of two observers the last one sees to it")
  func twoObservers() throws {
    let application = try DatabaseApplication(path, Self.update)
    let (one, two) = (try observe(), try observe())
    application.close()
    one.close()
    #expect(try names(in: folder.path).contains("app.db-wal"))
    two.close()
    try expectClosed(two)
  }

  // MARK: Nothing is taken from an application that is there

  @Test("It has the database open: SQLite finds that we are not the last")
  func stillOpen() throws {
    let application = try StagedApplication(
      path, folder: folder, [.open, .run(Self.keep), .run(Self.update), .wait, .run("UPDATE item SET name = 'late'")])
    let before = try FolderDigest.of(folder.path, times: true, ignoring: ["-shm"])
    for _ in 0..<3 {
      let connection = try observe()
      #expect(try connection.integer("SELECT count(*) FROM item WHERE name = 'new'") == 100)
      connection.close()
    }
    #expect(before.differences(to: try FolderDigest.of(folder.path, times: true, ignoring: ["-shm"])) == [])
    try application.goOn()
    application.kill()
    #expect(try DatabaseApplication(path).value("SELECT count(*) FROM item WHERE name = 'late'") == "300")
  }

  @Test("Right after our close it may leave WAL mode, or take the database for itself")
  func otherModes() throws {
    for statement in ["PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT", "PRAGMA journal_mode = DELETE"] {
      let application = try StagedApplication(
        path, folder: folder,
        [.open, .run(Self.update), .wait] + statement.split(separator: "; ").map { .run(String($0)) })
      let connection = try observe()
      connection.close()
      try application.goOn()
      application.kill()
    }
    #expect(try DatabaseApplication(path).value("PRAGMA journal_mode") == "delete")
  }

  /// Its commits were published, and nobody wrote to the database since: folding them in is what the next application to
  /// close the database would do, and leaves no log for a file that takes its place.
  @Test("It was killed beside us: its commits are kept")
  func killed() throws {
    let application = try StagedApplication(
      path, folder: folder,
      [.open, .run(Self.keep), .run(Self.update), .run("BEGIN"), .run("UPDATE item SET name = 'lost'"), .wait])
    let connection = try observe()
    application.kill()
    connection.close()
    try expectClosed(connection)
  }

  @Test("It was killed inside its commit's flush: the log is left for the next one to recover")
  func killedInFlush() throws {
    let application = try StagedApplication(
      path, folder: folder, wrapper: ["strace", "-f", "-o", "/dev/null", "-e", "inject=fdatasync:signal=KILL:when=1"],
      [.open, .run("PRAGMA synchronous = OFF"), .run(Self.update), .run("PRAGMA synchronous = FULL"), .wait]
        + [.run("UPDATE item SET name = 'flushed'")])
    let connection = try observe()
    #expect(throws: (any Error).self) { try application.goOn() }
    let before = try FolderDigest.of(folder.path, times: true, ignoring: ["-shm"])
    connection.close()
    #expect(connection.closing?.mayCheckpoint == false)
    #expect(before.differences(to: try FolderDigest.of(folder.path, times: true, ignoring: ["-shm"])) == [])
    #expect(try DatabaseApplication(path).value("SELECT count(*) FROM item WHERE name = 'flushed'") == "300")
  }

  // MARK: No byte goes into a file that took the database's place

  /// Hazard e12: the application exits while we are connected, somebody copies a file over the database, and we close.
  @Test("A file copied over, by which its times move or not", arguments: [["cp"], ["cp", "-p"]])
  func copiedOver(command: [String]) throws {
    let wanted = try makeReplacement()
    let application = try DatabaseApplication(path, Self.keep)
    try application.run(Self.update)
    let connection = try observe()
    try application.run(Self.update)
    application.close()
    try replace(by: command[0], command.count > 1 ? command[1] : "--")
    connection.close()
    #expect(try folder.read("app.db") == wanted)
    #expect(try names(in: folder.path).contains("app.db-wal"))
    #expect(connection.closing?.mayCheckpoint == false)
    #expect(connection.closing?.warning?.contains("\(path) was overwritten") == true)
  }

  @Test("A file moved over")
  func movedOver() throws {
    let wanted = try makeReplacement()
    let application = try DatabaseApplication(path, Self.keep)
    let connection = try observe()
    try application.run(Self.update)
    application.close()
    try replace(by: "mv", "--")
    connection.close()
    #expect(try folder.read("app.db") == wanted)
    #expect(try names(in: folder.path).contains("app.db-wal"))
    #expect(connection.closing?.warning?.contains("\(path) was replaced") == true)
  }

  @Test("A file copied over after part of a checkpoint")
  func copiedOverPartly() throws {
    let wanted = try makeReplacement()
    let (connection, application) = try partlyCheckpointed()
    application.close()
    try replace(by: "cp", "--")
    connection.close()
    #expect(try folder.read("app.db") == wanted)
    #expect(try names(in: folder.path).contains("app.db-wal"))
    #expect(connection.closing?.warning?.contains("\(path) was overwritten") == true)
  }

  /// All of the log was in the old file. Left behind, it would be applied to the new one; removed, it takes nothing away.
  @Test("A file copied over after a whole checkpoint loses the old log, and not a byte")
  func copiedOverWholly() throws {
    let wanted = try makeReplacement()
    let application = try DatabaseApplication(path, Self.keep)
    let connection = try observe()
    try application.run(Self.update)
    try application.run("PRAGMA wal_checkpoint")
    application.close()
    try replace(by: "cp", "--")
    connection.close()
    #expect(try folder.read("app.db") == wanted)
    #expect(try !names(in: folder.path).contains("app.db-wal"))
    #expect(try DatabaseApplication(path).value("SELECT count(*) FROM u") == "600")
  }

  /// What tells the second observer that no application is there any more is the order of writes alone: the wal-index was
  /// never without somebody who held it.
  @Test("A file copied over while only we hold the old log, by whoever of us closes last")
  func secondObserver() throws {
    let wanted = try makeReplacement()
    let application = try DatabaseApplication(path, Self.keep)
    let agent = try observe()
    try application.run(Self.update)
    application.close()
    try replace(by: "cp", "--")
    usleep(25_000)
    let second = try? observe()
    agent.close()
    second?.close()
    #expect(try folder.read("app.db") == wanted)
    #expect(try names(in: folder.path).contains("app.db-wal"))
  }

  @Test("A database and its log copied over together are both left alone")
  func pairCopiedOver() throws {
    let copy = folder.path("copy.db")
    try crash(at: copy)
    let application = try DatabaseApplication(path, Self.update)
    let connection = try observe()
    try application.run("PRAGMA wal_checkpoint")
    application.close()
    for suffix in ["", "-wal"] { #expect(try Shell.run("cp", [copy + suffix, path + suffix]).status == 0) }
    connection.close()
    #expect(try folder.read("app.db") == folder.read("copy.db"))
    #expect(try folder.read("app.db-wal") == folder.read("copy.db-wal"))
  }

  @Test("chmod is no overwriting")
  func changedMode() throws {
    let application = try DatabaseApplication(path, Self.update)
    let connection = try observe()
    application.close()
    chmod(path, 0o640)
    let before = try FolderDigest.of(folder.path, times: true, ignoring: ["-shm"])
    connection.close()
    #expect(connection.closing?.mayCheckpoint == false && connection.closing?.warning == nil)
    #expect(before.differences(to: try FolderDigest.of(folder.path, times: true, ignoring: ["-shm"])) == [])
  }

  // MARK: What the rule rests on

  @Test("The wal-index counts no change after a recovery of ours, however it comes about", arguments: [true, false])
  func recoveryCountsNothing(keepsIndex: Bool) throws {
    try crash(at: path)
    if !keepsIndex { unlink(path + "-shm") }
    let before = try [path, path + "-wal"].map { try FolderDigest.of($0, times: true) }
    let connection = try observe()
    let log = try #require(connection.closingFacts().log)
    #expect(log.changeCount == 0 && log.maxFrame > 0 && log.fileMatches)
    connection.close()
    #expect(connection.closing?.mayCheckpoint == false)
    #expect(try [path, path + "-wal"].map { try FolderDigest.of($0, times: true) } == before)
  }

  @Test("It counts on while somebody has the database open, and starts anew when nobody has")
  func countOfChanges() throws {
    let application = try DatabaseApplication(path, "UPDATE item SET name = 'a'; UPDATE item SET name = 'b'")
    let connection = try observe()
    #expect(connection.closingFacts().log?.changeCount == 2)
    try application.run("PRAGMA wal_checkpoint; UPDATE item SET name = 'c'")
    #expect(connection.closingFacts().log?.changeCount == 3, "a new generation of the log counts on")
    application.close()
    #expect(connection.closingFacts().log?.changeCount == 3)
    connection.close()
    let again = try observe()
    #expect(again.closingFacts().log?.changeCount == 0)
  }

  /// A log of which a checkpoint copied the first part, because a snapshot of ours needed the rest left out.
  private func partlyCheckpointed() throws -> (DatabaseConnection, DatabaseApplication) {
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
  private func crash(at path: String) throws {
    if path != self.path { try DatabaseFixture(journalMode: "wal", rows: 300).create(at: path).close() }
    let application = try StagedApplication(path, folder: folder, [.open, .run(Self.keep), .run(Self.update), .wait])
    application.kill()
    #expect(access(path + "-wal", F_OK) == 0)
  }
}
