import Glibc
import TestSupport
import Testing

@testable import SQLitePages

/// The proofs that rest on time stamps, on real file systems.
@Suite(.ownThread) struct FileSystemTests {
  private let update = "UPDATE t SET v = randomblob(900) WHERE id = "

  /// Waits so that later stamps fall within one of the steps in which the coarsest file system
  /// counts.
  private func waitForAnEvenSecond() {
    while (FileClock.now() / 100_000_000) % 20 != 0 { usleep(5000) }
  }

  @Test(arguments: FileSystemKind.allCases)
  func theGranularityIsLearntFromTheFileSystem(kind: FileSystemKind) throws {
    guard let mount = try MountedFolder(kind) else { return }
    let folder = try TemporaryFolder(in: mount.path)
    #expect(FileFacts(path: try folder.write("a", [1]))?.hasFineStamps == kind.hasFineStamps)
    // If a copy keeps whole seconds, the file system is not a coarse one.
    #expect(try Shell.run("touch", ["-d", "@1700000000", folder.path("a")]).status == 0)
    #expect(FileFacts(path: folder.path("a"))?.hasFineStamps == kind.hasFineStamps)
  }

  /// A program that opens, commits and closes for each write, several times in one second.
  @Test(arguments: FileSystemKind.allCases)
  func sessionsWithinOneSecondAreNotTakenForNothing(kind: FileSystemKind) throws {
    guard let mount = try MountedFolder(kind) else { return }
    let bed = try TrackerBed(in: mount.path)
    try bed.application(update + "1").close()
    waitForAnEvenSecond()
    try DatabaseApplication(bed.path, update + "300").close()
    bed.settle()
    try bed.look(asPoint: true)
    bed.closeConnection()
    try DatabaseApplication(bed.path, update + "500").close()
    let last = try DatabaseApplication(bed.path, update + "100")
    guard case .incomplete = try #require(try bed.look()) else {
      Issue.record("a session that wrote to the file was not noticed")
      return
    }
    last.close()
  }

  @Test(arguments: FileSystemKind.allCases)
  func onlyFineStampsProveAnUntouchedFile(kind: FileSystemKind) throws {
    guard let mount = try MountedFolder(kind) else { return }
    let bed = try TrackerBed(in: mount.path)
    try bed.application(update + "1").close()
    bed.settle()
    try bed.look(asPoint: true)
    #expect((bed.tracker.position?.text != nil) == kind.hasFineStamps)
    bed.closeConnection()
    let application = try DatabaseApplication(bed.path, update + "500")
    let isProved = try bed.look() == .complete(.untouchedFile)
    #expect(isProved == kind.hasFineStamps)
    application.close()
  }

  /// No proof rests on stamps there.
  @Test(arguments: FileSystemKind.allCases)
  func theSameGenerationIsFollowedEverywhere(kind: FileSystemKind) throws {
    guard let mount = try MountedFolder(kind) else { return }
    let bed = try TrackerBed(in: mount.path)
    let application = try bed.application(update + "1")
    try bed.look(asPoint: true)
    try application.run(update + "300")
    #expect(try bed.look() == .complete(.sameGeneration))
    application.close()
  }

  /// Without locks only stamps can reveal a torn read.
  @Test(arguments: [FileSystemKind.tmpfs, .ext4SmallInodes])
  func aDatabaseThatIsReadWithoutLocksIsReadOnCoarseStampsToo(kind: FileSystemKind) throws {
    guard let mount = try MountedFolder(kind) else { return }
    let bed = try TrackerBed(in: mount.path)
    try bed.application(update + "1").close()
    let watch = try UnlockedWatch(DatabaseLocation(bed.path, mayBeCreated: false))
    #expect(throws: Never.self) { try watch.requireUnchanged() }
    try DatabaseApplication(bed.path, update + "300").close()
    #expect(throws: DatabaseError.self) { try watch.requireUnchanged() }
  }
}
