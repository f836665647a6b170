import Glibc
import SQLitePages
import TestSupport
import Testing

/// Each proof of completeness when it is valid, and each condition in which it must be refused.
@Suite(.ownThread) struct TrackerProofTests {
  private let update = "UPDATE t SET v = randomblob(900) WHERE id = "

  private func isIncomplete(_ outcome: TrackerOutcome?) -> Bool {
    if case .incomplete? = outcome { true } else { false }
  }

  @Test func theSameGenerationIsFollowedThroughClosingAndReopening() throws {
    let bed = try TrackerBed()
    let application = try bed.application(update + "1")
    try bed.look(asPoint: true)
    for id in [10, 200, 400, 10] {
      try application.run(update + "\(id)")
      bed.closeConnection()
      #expect(try bed.look() == .complete(.sameGeneration))
    }
    #expect(bed.tracker.pages.count < 12)
    // A checkpoint moves pages and changes none.
    try application.run("PRAGMA wal_checkpoint(PASSIVE)")
    #expect(try bed.look() == .complete(.sameGeneration))
  }

  @Test func aCrashedApplicationsLogIsRecoveredInTheSameGeneration() throws {
    let bed = try TrackerBed()
    do {
      let application = try bed.application(update + "1")
      try bed.look(asPoint: true)
      bed.closeConnection()
      try application.run(update + "300; " + update + "500")
      // As if the machine had crashed: the files as they are, without any connection.
      try FolderCopy.copy(bed.path, to: bed.folder.path("crashed.db"))
    }
    let crashed = try TrackerBed()
    try FolderCopy.copy(bed.folder.path("crashed.db"), to: crashed.path)
    try crashed.look(asPoint: true)
    #expect(try crashed.look() == .complete(.sameGeneration))
  }

  @Test func anUntouchedFileProvesANewGeneration() throws {
    let bed = try TrackerBed()
    try bed.application().close()
    bed.settle()
    try bed.look(asPoint: true)
    bed.closeConnection()
    let application = try DatabaseApplication(bed.path, "PRAGMA wal_autocheckpoint = 0")
    try application.run(update + "1; " + update + "500")
    #expect(try bed.look() == .complete(.untouchedFile))
    try application.run(update + "250")
    bed.closeConnection()
    #expect(try bed.look() == .complete(.sameGeneration))
  }

  /// `sqlite3 app.db …` twice in a row: the counts of two short sessions agree by chance with one (e1).
  @Test func shortSessionsInBetweenAreNotTakenForNothing() throws {
    let bed = try TrackerBed()
    try bed.application(update + "1").close()
    bed.settle()
    try bed.look(asPoint: true)
    bed.closeConnection()
    let session = try DatabaseApplication(bed.path)
    for id in [100, 200, 300, 400, 500] { try session.run(update + "\(id)") }
    session.close()
    let second = try DatabaseApplication(bed.path)
    try second.run(update + "1")
    #expect(isIncomplete(try bed.look()))
    #expect(bed.tracker.gap != nil)
    second.close()
  }

  @Test func aStampThatIsTooYoungProvesNothing() throws {
    let bed = try TrackerBed()
    let application = try bed.application()
    try application.run(update + "1")
    try application.run("PRAGMA wal_checkpoint(RESTART)")
    // Right after the checkpoint's writes.
    try bed.look(asPoint: true)
    bed.closeConnection()
    let stamp = try #require(bed.tracker.position?.snapshot.stampBefore)
    let facts = try #require(bed.tracker.position?.snapshot.facts)
    #expect(stamp.isUntouched(until: facts) == stamp.isSettled)
    #expect(FileStamp(facts, now: facts.modified + 1_000_000).isSettled == false)
    #expect(FileStamp(facts, now: max(facts.modified, facts.changed) + 30_000_000).isSettled)
  }

  @Test func oneResetWhileConnectedIsFollowed() throws {
    let bed = try TrackerBed()
    let application = try bed.application()
    for id in 1...20 { try application.run(update + "\(id * 10)") }
    try bed.look(asPoint: true)
    // Two commits of the old generation that were not read yet, then the reset.
    try application.run(update + "300")
    try application.run(update + "310")
    try application.run("PRAGMA wal_checkpoint(PASSIVE)")
    try application.run(update + "1")
    #expect(try bed.look() == .complete(.oneReset))
    #expect(bed.tracker.pages.count >= 3)
  }

  @Test func theSameWithoutTheConnectionIsNot() throws {
    let bed = try TrackerBed()
    let application = try bed.application()
    for id in 1...20 { try application.run(update + "\(id * 10)") }
    try bed.look(asPoint: true)
    bed.closeConnection()
    try application.run(update + "300")
    try application.run("PRAGMA wal_checkpoint(PASSIVE)")
    try application.run(update + "1")
    #expect(isIncomplete(try bed.look()))
  }

  @Test func twoResetsAreNot() throws {
    let bed = try TrackerBed()
    let application = try bed.application()
    for id in 1...20 { try application.run(update + "\(id * 10)") }
    try bed.look(asPoint: true)
    for id in [300, 500] {
      try application.run(update + "\(id)")
      try application.run("PRAGMA wal_checkpoint(PASSIVE)")
      try application.run(update + "1")
    }
    #expect(isIncomplete(try bed.look()))
  }

  @Test func overwrittenCommitsOfTheOldGenerationAreMissed() throws {
    let bed = try TrackerBed()
    let application = try bed.application()
    try application.run(update + "1")
    try bed.look(asPoint: true)
    try application.run(update + "300")
    try application.run("PRAGMA wal_checkpoint(PASSIVE)")
    for id in [2, 3, 4, 5] { try application.run(update + "\(id)") }
    #expect(isIncomplete(try bed.look()))
  }

  @Test func aPositionAtTheVeryEndNeedsTheNewGenerationOnly() throws {
    let bed = try TrackerBed()
    let application = try bed.application()
    try application.run(update + "1")
    try bed.look(asPoint: true)
    try application.run("PRAGMA wal_checkpoint(PASSIVE)")
    for id in [2, 300, 400, 500] { try application.run(update + "\(id)") }
    #expect(try bed.look() == .complete(.oneReset))
  }

  /// Frames that a TRUNCATE checkpoint or a size limit cut off cannot be counted.
  @Test(arguments: ["PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA journal_size_limit = 0; PRAGMA wal_checkpoint(PASSIVE)"])
  func leftoversThatWereCutOffAreMissed(checkpoint: String) throws {
    let bed = try TrackerBed()
    let application = try bed.application()
    for id in 1...20 { try application.run(update + "\(id * 10)") }
    try bed.look(asPoint: true)
    try application.run(update + "599")
    try application.run(checkpoint)
    try application.run(update + "1")
    #expect(isIncomplete(try bed.look()))
  }

  @Test func anotherFileAtThePathIsIncomplete() throws {
    let bed = try TrackerBed()
    try bed.application().close()
    try bed.application(path: bed.folder.path("other.db")).close()
    bed.settle()
    try bed.look(asPoint: true)
    #expect(rename(bed.folder.path("other.db"), bed.path) == 0)
    #expect(isIncomplete(try bed.look()))
  }

  /// The file is copied over, not moved: the same inode, and the same generation of the log (of an
  /// idle application).
  @Test func aFileThatWasCopiedOverIsIncomplete() throws {
    let bed = try TrackerBed()
    let application = try bed.application(update + "1; PRAGMA wal_checkpoint(PASSIVE)")
    try bed.application(update + "77", path: bed.folder.path("other.db")).close()
    bed.settle()
    try bed.look(asPoint: true)
    #expect(try Shell.run("cp", [bed.folder.path("other.db"), bed.path]).status == 0)
    #expect(isIncomplete(try bed.look()))
    application.close()
  }

  @Test(arguments: ["PRAGMA journal_mode = delete", "PRAGMA journal_mode = delete; PRAGMA page_size = 8192; VACUUM"])
  func aChangeOfModeOrPageSizeIsIncomplete(change: String) throws {
    let bed = try TrackerBed()
    let application = try bed.application()
    try bed.look(asPoint: true)
    bed.closeConnection()
    try application.run(change)
    #expect(isIncomplete(try bed.look()))
  }

  @Test func aRollbackModeDatabaseIsUnchangedOrUnknown() throws {
    let bed = try TrackerBed()
    let application = try bed.application("PRAGMA journal_mode = delete")
    bed.settle()
    try bed.look(asPoint: true)
    #expect(try bed.look() == .complete(.unchangedFile))
    try application.run(update + "1")
    #expect(isIncomplete(try bed.look()))
  }
}

/// Copies a database with its side files, as a crash of the machine would leave them.
enum FolderCopy {
  static func copy(_ path: String, to other: String) throws {
    for side in ["", "-wal"] {
      let result = try Shell.run("cp", [path + side, other + side])
      try #require(result.status == 0, "\(result.stderr)")
    }
  }
}
