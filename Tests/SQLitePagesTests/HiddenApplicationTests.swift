import Glibc
import Testing
import TestSupport

@testable import SQLitePages

/// An application whose open files `/proc` does not show, because this process is another user's,
/// has lost all its locks, and is in a transaction that only its own memory holds.
@Suite("Beside a hidden application without locks", .ownThread, .enabled(if: geteuid() == 0, "only root changes users"))
struct HiddenApplicationTests {
  private static let begin: [StagedApplication.Step] = [
    .run("BEGIN IMMEDIATE"), .run("UPDATE item SET name = 'late' WHERE id <= 10"),
  ]

  private static func lateRows(_ place: ClosingPlace) throws -> String? {
    let application = try DatabaseApplication(place.path)
    #expect(try application.value("PRAGMA integrity_check") == "ok")
    return try application.value("SELECT count(*) FROM item WHERE name = 'late'")
  }

  /// An application that commits, waits, begins a transaction and loses its locks, waits, and
  /// commits.
  private static func applicationInTransaction(_ place: ClosingPlace) throws -> StagedApplication {
    try StagedApplication(
      place.path, folder: place.folder,
      [.open, .run(ClosingPlace.keep), .run(ClosingPlace.update), .wait] + begin
        + [.dropAllLocks, .wait, .run("COMMIT"), .wait])
  }

  @Test(
    "A connection that closes leaves the log to the transaction", arguments: [false, true], [false, true])
  func closing(writes: Bool, isNobodys: Bool) async {
    await #expect(processExitsWith: .success) { [writes, isNobodys] in
      let place = try placeForAnybody(isNobodys: isNobodys)
      let application = try Self.applicationInTransaction(place)
      openSideFiles(of: place)
      becomeNobody()
      let connection = try DatabaseConnection(path: place.path, access: writes ? .writer : .observer)
      if writes { try connection.execute("CREATE TABLE restored (x)") }
      try application.goOn()
      let size = FileFacts(path: place.path + "-wal")?.size
      connection.close()
      #expect(FileFacts(path: place.path + "-wal")?.size == size)
      becomeSomebody()
      try application.goOn()
      application.kill()
      // A writer's commit had its end before the transaction began.
      #expect(try Self.lateRows(place) == "10")
    }
  }

  @Test("The log that our opening made stays with a program that opened it later")
  func closingOurs() async {
    await #expect(processExitsWith: .success) {
      let place = try placeForAnybody(isNobodys: true)
      becomeNobody()
      let connection = try DatabaseConnection(path: place.path, access: .observer)
      becomeSomebody()
      let application = try StagedApplication(
        place.path, folder: place.folder,
        [.open, .run(ClosingPlace.keep)] + Self.begin + [.dropAllLocks, .wait, .run("COMMIT"), .wait])
      becomeNobody()
      connection.close()
      becomeSomebody()
      try application.goOn()
      application.kill()
      #expect(try Self.lateRows(place) == "10")
    }
  }

  @Test("If no process has the log open, it is emptied and its files stay", arguments: [false, true])
  func gone(writes: Bool) async {
    await #expect(processExitsWith: .success) { [writes] in
      let place = try placeForAnybody(isNobodys: true)
      let application = try StagedApplication(
        place.path, folder: place.folder, [.open, .run(ClosingPlace.update), .wait])
      openSideFiles(of: place)
      becomeNobody()
      let connection = try DatabaseConnection(path: place.path, access: writes ? .writer : .observer)
      if writes { try connection.execute("CREATE TABLE restored (x)") }
      application.kill()
      let before = DatabaseFiles(resolvedPath: place.path)
      connection.close()
      #expect(writes || connection.closing?.keepsFiles == true)
      #expect(DatabaseFiles(resolvedPath: place.path) == before)
      #expect(FileFacts(path: place.path + "-wal")?.size == 0)
    }
  }

  @Test("The database is not opened while the log is in use and the index has no lock")
  func opening() async {
    await #expect(processExitsWith: .success) {
      let place = try placeForAnybody(isNobodys: true)
      let application = try Self.applicationInTransaction(place)
      openSideFiles(of: place)
      becomeNobody()
      func kind(_ access: DatabaseConnection.Access) -> DatabaseError.Kind? {
        errorKind { try DatabaseConnection(path: place.path, access: access).close() }
      }
      #expect(kind(.observer) == nil, "it has its locks")
      try application.goOn()
      for access in [DatabaseConnection.Access.observer, .writer, .exclusive] {
        #expect(kind(access) == .indexUnlocked(nil))
      }
      try application.goOn()
      application.kill()
      #expect(kind(.observer) == nil, "a crash")
      becomeSomebody()
      #expect(try Self.lateRows(place) == "10")
    }
  }

  @Test("A log in use by an application that has lost its locks on the database is not replaced")
  func exclusive() async {
    await #expect(processExitsWith: .success) {
      let place = try placeForAnybody(isNobodys: true)
      let application = try StagedApplication(
        place.path, folder: place.folder,
        [.open, .run(ClosingPlace.keep), .run(ClosingPlace.update), .dropLocks, .wait])
      openSideFiles(of: place)
      becomeNobody()
      #expect(errorKind { _ = try ExclusiveAccess(path: place.path, busyTimeout: 0) } == .busy)
      becomeSomebody()
      application.kill()
    }
  }
}
