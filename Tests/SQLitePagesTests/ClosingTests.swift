import Glibc
import Testing
import TestSupport

@testable import SQLitePages

/// How our closing treats the log that an application, running or gone, has written beside us.
@Suite("Closing beside an application", .ownThread)
struct ClosingTests {
  let place: ClosingPlace

  init() throws { place = try ClosingPlace() }

  // MARK: The application's last close beside us leaves no log behind

  @Test(
    "The log is folded in if the application committed before we opened, after it, or both",
    arguments: [[true, false], [false, true], [true, true]])
  func closesBesideUs(commits: [Bool]) throws {
    let application = try DatabaseApplication(place.path, ClosingPlace.keep)
    if commits[0] { try application.run(ClosingPlace.update) }
    let connection = try place.observe()
    if commits[1] { try application.run(ClosingPlace.update) }
    application.close()
    #expect(try names(in: place.folder.path).contains("app.db-wal"))
    connection.close()
    try place.expectClosed(connection)
  }

  @Test("The log is folded in if our opening made it and the application wrote to it")
  func opensBesideUs() throws {
    let connection = try place.observe()
    try DatabaseApplication(place.path, ClosingPlace.update).close()
    connection.close()
    try place.expectClosed(connection)
  }

  @Test(
    "The log is folded in if checkpoints ran meanwhile, with or without a snapshot of ours", arguments: [true, false],
    [0, 7])
  func checkpointsBesideUs(holdsSnapshot: Bool, more: Int) throws {
    let application = try DatabaseApplication(place.path, "PRAGMA wal_autocheckpoint = 20")
    try application.run("UPDATE item SET name = 'begun' WHERE id = 1")
    let connection = try place.observe()
    let scratch = place.folder.path("scratch")
    let first = holdsSnapshot ? try DatabaseSnapshot(connection, scratchPath: scratch) : nil
    for id in 1...200 { try application.run("UPDATE item SET name = 'new', body = randomblob(900) WHERE id = \(id)") }
    first?.end()
    for id in 200..<200 + more { try application.run("UPDATE item SET name = 'new' WHERE id = \(id + 1)") }
    application.close()
    connection.close()
    try place.expectClosed(connection, new: 200 + more)
  }

  /// The application closes right after a checkpoint that a snapshot kept from copying the whole
  /// log. The time stamps then prove nothing, and the copied pages are compared.
  @Test("The log is folded in if the last event was part of a checkpoint")
  func partOfACheckpoint() throws {
    let (connection, application) = try place.partlyCheckpointed()
    application.close()
    let facts = connection.closingFacts()
    #expect(facts.needsCheckpointedPages && facts.checkpointedPages == .equal)
    connection.close()
    try place.expectClosed(connection, new: 150)
  }

  @Test("The log is folded in if the application closes, opens again, commits and closes beside us")
  func closesTwice() throws {
    let application = try DatabaseApplication(place.path, "UPDATE item SET name = 'old'")
    let connection = try place.observe()
    application.close()
    try DatabaseApplication(place.path, ClosingPlace.update).close()
    connection.close()
    try place.expectClosed(connection)
  }

  @Test("The log is folded in if the application runs in a process of its own")
  func anotherProcess() throws {
    let application = try StagedApplication(
      place.path, folder: place.folder, [.open, .run(ClosingPlace.keep), .run(ClosingPlace.update), .wait, .close])
    let connection = try place.observe()
    try application.goOn()
    connection.close()
    try place.expectClosed(connection)
  }

  @Test("The last of two observers folds the log in")
  func twoObservers() throws {
    let application = try DatabaseApplication(place.path, ClosingPlace.update)
    let (one, two) = (try place.observe(), try place.observe())
    application.close()
    one.close()
    #expect(one.closing?.mayCheckpoint == false)
    #expect(try names(in: place.folder.path).contains("app.db-wal"))
    two.close()
    try place.expectClosed(two)
  }

  // MARK: A running application loses no data

  @Test("If the application has the database open, SQLite finds that we are not the last")
  func stillOpen() throws {
    let application = try StagedApplication(
      place.path, folder: place.folder,
      [.open, .run(ClosingPlace.keep), .run(ClosingPlace.update), .wait, .run("UPDATE item SET name = 'late'")])
    let before = try FolderDigest.of(place.folder.path, times: true, ignoring: ["-shm"])
    for _ in 0..<3 {
      let connection = try place.observe()
      #expect(try connection.integer("SELECT count(*) FROM item WHERE name = 'new'") == 100)
      connection.close()
    }
    #expect(before.differences(to: try FolderDigest.of(place.folder.path, times: true, ignoring: ["-shm"])) == [])
    try application.goOn()
    application.kill()
    #expect(try DatabaseApplication(place.path).value("SELECT count(*) FROM item WHERE name = 'late'") == "300")
  }

  @Test("Right after our close the application may leave WAL mode, or lock the database exclusively")
  func otherModes() throws {
    for statement in ["PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT", "PRAGMA journal_mode = DELETE"] {
      let application = try StagedApplication(
        place.path, folder: place.folder,
        [.open, .run(ClosingPlace.update), .wait] + statement.split(separator: "; ").map { .run(String($0)) })
      let connection = try place.observe()
      connection.close()
      try application.goOn()
      application.kill()
    }
    #expect(try DatabaseApplication(place.path).value("PRAGMA journal_mode") == "delete")
  }

  /// The application's commits were published, and no other program wrote to the database since.
  /// The next application to close the database would also fold them in, so that no log remains for
  /// a file that replaces the database. The application's log exists when we begin to open, and is
  /// gone when we get the lock: the log that exists then is ours.
  @Test(
    "A log of ours is removed if the application used the database exclusively and closed while we waited",
    arguments: [
      ("UPDATE item SET name = 'new' WHERE id % 3 = 0", 100), ("SELECT count(*) FROM item", 0),
    ])
  func exclusiveUntilWeOpen(statement: String, new: Int) throws {
    let script = """
      import sqlite3, sys, time
      db = sqlite3.connect(sys.argv[1], isolation_level=None)
      db.execute("PRAGMA locking_mode = EXCLUSIVE")
      db.execute("\(statement)").fetchall()
      print("ready", flush=True)
      time.sleep(3)
      db.close()
      """
    let application = try ProcessInBackground("python3", ["-c", script, place.path])
    try application.waitForLine("ready")
    let connection = try DatabaseConnection(path: place.path, access: .observer, busyTimeout: 60_000)
    try #require(connection.hadWAL)
    connection.close()
    #expect(application.waitForEnd() == 0)
    try place.expectClosed(connection, new: new)
  }

  @Test("If the application was killed beside us, its commits are kept")
  func killed() throws {
    let application = try StagedApplication(
      place.path, folder: place.folder,
      [
        .open, .run(ClosingPlace.keep), .run(ClosingPlace.update), .run("BEGIN"), .run("UPDATE item SET name = 'lost'"),
        .wait,
      ])
    let connection = try place.observe()
    application.kill()
    connection.close()
    try place.expectClosed(connection)
  }

  @Test("If the application was killed inside its commit's flush, the log stays for the next one to recover")
  func killedInFlush() throws {
    let application = try StagedApplication(
      place.path, folder: place.folder,
      wrapper: ["strace", "-f", "-o", "/dev/null", "-e", "inject=fdatasync:signal=KILL:when=1"],
      [.open, .run("PRAGMA synchronous = OFF"), .run(ClosingPlace.update), .run("PRAGMA synchronous = FULL"), .wait]
        + [.run("UPDATE item SET name = 'flushed'")])
    let connection = try place.observe()
    #expect(throws: (any Error).self) { try application.goOn() }
    let before = try FolderDigest.of(place.folder.path, times: true, ignoring: ["-shm"])
    connection.close()
    #expect(connection.closing?.mayCheckpoint == false)
    #expect(before.differences(to: try FolderDigest.of(place.folder.path, times: true, ignoring: ["-shm"])) == [])
    #expect(try DatabaseApplication(place.path).value("SELECT count(*) FROM item WHERE name = 'flushed'") == "300")
  }
}
