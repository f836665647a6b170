import BackupEngine
import BackupPolicy
import Glibc
import TestSupport
import Testing

/// Creates a file in small steps; eight operations when nothing fails.
private func storeSmallFile(_ files: any FileOperations, in folder: TemporaryFolder) throws {
  let lock = try files.open(folder.path("lock"), .lockFile)
  defer { files.close(lock) }
  _ = try files.lock(lock, exclusive: true, wait: false)
  let file = try files.open(folder.path("tmp"), .createNew)
  defer { files.close(file) }
  for part in 0..<2 {
    try [UInt8](repeating: 7, count: 1000).withUnsafeBytes { try files.write(file, $0, at: Int64(part * 1000)) }
  }
  try files.sync(file)
  try files.rename(folder.path("tmp"), to: folder.path("final"))
  try files.syncFolder(folder.path)
}

@Suite(.ownThread) struct SupportStepFaultsTests {
  @Test func aCleanRunCountsAndNamesEveryStep() throws {
    let folder = try TemporaryFolder()
    let faults = StepFaults()
    try storeSmallFile(faults, in: folder)
    #expect(faults.count == 8)
    #expect(faults.firedAt == nil)
    #expect(faults.steps[6] == "7 rename \(folder.path("tmp")) → \(folder.path("final"))")
    #expect(faults.places(for: .kill()) == [1, 3, 4, 5, 7])
    #expect(faults.places(for: .kill(torn: true)) == [4, 5])
    #expect(faults.places(for: .error(EIO)) == Array(1...8))
    #expect(faults.places(for: .error(ENOSPC)) == [1, 3, 4, 5, 6, 7, 8])
    #expect(faults.placesForPowerLoss == [1, 3, 4, 5, 6, 7, 8, 9])
    #expect(try folder.read("final") == [UInt8](repeating: 7, count: 2000))
  }

  @Test(arguments: 1...8) func anErrorStrikesOnceAsTheSystemWould(step: Int) throws {
    let folder = try TemporaryFolder()
    let faults = StepFaults(failAt: step, .error(EIO))
    let error = #expect(throws: HoldfastError.self, "\(faults.steps)") { try storeSmallFile(faults, in: folder) }
    #expect(error?.code == .ioError)
    #expect(error?.message.hasPrefix("cannot ") == true)
    #expect(faults.firedAt == step)
    try faults.unlink(folder.path("tmp"))
    try storeSmallFile(faults, in: folder)
    #expect(try folder.read("final")?.count == 2000)
  }

  @Test func aFullDiskLeavesHalfAWrite() throws {
    let folder = try TemporaryFolder()
    let faults = StepFaults(failAt: 5, .error(ENOSPC))
    let error = #expect(throws: HoldfastError.self) { try storeSmallFile(faults, in: folder) }
    #expect(error?.code == .noSpace)
    #expect(try folder.read("tmp")?.count == 1500)
  }

  @Test func spaceRunsOutOnlyWhereSomethingTakesSpace() throws {
    let folder = try TemporaryFolder()
    let faults = StepFaults(failAt: 2, .error(ENOSPC))
    #expect(throws: HoldfastError.self) { try storeSmallFile(faults, in: folder) }
    #expect(faults.firedAt == 3)
  }

  @Test func aPersistentlyFullDiskRefusesWhatTakesSpaceAndOnlyThat() throws {
    let folder = try TemporaryFolder()
    let faults = StepFaults(failAt: 4, .error(ENOSPC, persistent: true))
    #expect(throws: HoldfastError.self) { try storeSmallFile(faults, in: folder) }
    #expect(throws: HoldfastError.self) { try faults.makeFolder(folder.path("new")) }
    #expect(throws: HoldfastError.self) { try faults.open(folder.path("new"), .createNew) }
    let file = try faults.open(folder.path("tmp"), .read)
    #expect(throws: HoldfastError.self) {
      try [UInt8](repeating: 0, count: 1).withUnsafeBytes { try faults.write(file, $0, at: 0) }
    }
    faults.close(file)
    #expect(try faults.list(folder.path).sorted() == ["lock", "tmp"])
    try faults.unlink(folder.path("tmp"))
    #expect(try folder.read("tmp") == nil)
  }

  @Test(arguments: 1...8) func nothingReachesTheDiskAfterAKill(step: Int) throws {
    let folder = try TemporaryFolder()
    let faults = StepFaults(failAt: step, .kill())
    #expect(throws: Killed.self) { try storeSmallFile(faults, in: folder) }
    let before = try FolderDigest.of(folder.path, times: true)
    #expect(throws: Killed.self) { try storeSmallFile(faults, in: folder) }
    #expect(throws: Killed.self) { try faults.unlink(folder.path("tmp")) }
    #expect(throws: Killed.self) { try faults.status(folder.path("tmp")) }
    #expect(before.differences(to: try FolderDigest.of(folder.path, times: true)) == [])
    #expect(try folder.read("final")?.count == (step == 8 ? 2000 : nil))
    #expect(faults.count == step)
  }

  @Test func aTornKillLeavesHalfAWrite() throws {
    let folder = try TemporaryFolder()
    #expect(throws: Killed.self) { try storeSmallFile(StepFaults(failAt: 4, .kill(torn: true)), in: folder) }
    #expect(try folder.read("tmp")?.count == 500)
  }

  @Test func locksOfTheKilledAreFree() throws {
    let folder = try TemporaryFolder()
    let faults = StepFaults(failAt: 3, .kill())
    #expect(throws: Killed.self) { try storeSmallFile(faults, in: folder) }
    let survivor = SystemFileOperations()
    let lock = try survivor.open(folder.path("lock"), .lockFile)
    defer { survivor.close(lock) }
    #expect(try survivor.lock(lock, exclusive: true, wait: false))
  }

  @Test func stepsOfAllThreadsAreCounted() async throws {
    let folder = try TemporaryFolder()
    let faults = StepFaults()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask { for _ in 0..<100 { _ = try? faults.status(folder.path) } }
      }
    }
    #expect(faults.count == 400)
  }
}
