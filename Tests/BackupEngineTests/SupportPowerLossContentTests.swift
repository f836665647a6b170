import BackupEngine
import TestSupport
import Testing

@Suite(.ownThread) struct SupportPowerLossContentTests: PowerLossSuite {
  @Test func renamingBeforeTheContentIsFlushedIsCaught() throws {
    let found = try outcomes(before: { try $0.write("a", old) }) { files, folder in
      try files.createFile(folder.path("tmp"), new, synced: false)
      try files.rename(folder.path("tmp"), to: folder.path("a"))
      try files.syncFolder(folder.path)
    } look: {
      try $0.read("a")
    }
    #expect(found[1] == new)
    #expect(found[2] == [])
    #expect(found[3] == [UInt8](repeating: 0, count: new.count))
    #expect(found.contains { $0 != old && $0 != new && $0?.contains(2) == true }, "no seed tore the content")
  }

  @Test func replacingWithBothFlushesIsAlwaysOldOrNew() throws {
    let clean = StepFaults()
    let scratch = try TemporaryFolder()
    try clean.replace(try scratch.write("a", old), with: new)
    for step in clean.placesForPowerLoss {
      for seed in UInt64(0)..<64 {
        let folder = try TemporaryFolder()
        try folder.write("a", old)
        let loss = PowerLoss(root: folder.path)
        let faults = StepFaults(wrapping: loss, failAt: step, .kill(torn: true))
        let finished = (try? faults.replace(folder.path("a"), with: new)) != nil
        try loss.crash(seed: seed)
        let found = try #require(try folder.read("a"), "seed \(seed) \(faults.steps)")
        #expect(found == new || (found == old && !finished), "seed \(seed) \(faults.steps)")
        #expect(finished == (step > clean.count))
      }
    }
  }

  @Test func withoutTheFolderFlushTheRenameMayBeLost() throws {
    let found = try outcomes(before: { try $0.write("a", old) }) { files, folder in
      try files.createFile(folder.path("tmp"), new, synced: true)
      try files.rename(folder.path("tmp"), to: folder.path("a"))
    } look: {
      try $0.read("a")
    }
    #expect(found[0] == old)
    #expect(found[1] == new)
    #expect(found.allSatisfy { $0 == old || $0 == new })
  }

  @Test func aFolderFlushIsNoFlushOfContent() throws {
    let found = try outcomes { files, folder in
      try files.createFile(folder.path("a"), new, synced: false)
      try files.syncFolder(folder.path)
    } look: {
      try $0.read("a")
    }
    #expect(found[0] == [])
    #expect(found[3] == [UInt8](repeating: 0, count: new.count))
    #expect(!found.contains(nil))
  }

  @Test func writesAreTornAtSectorsAndFlushedOnesNever() throws {
    let found = try outcomes { files, folder in
      let file = try files.open(folder.path("a"), .createNew)
      defer { files.close(file) }
      try old.withUnsafeBytes { try files.write(file, $0, at: 0) }
      try files.sync(file)
      try files.syncFolder(folder.path)
      try [UInt8](repeating: 2, count: 2000).withUnsafeBytes { try files.write(file, $0, at: 700) }
    } look: {
      try #require(try $0.read("a"))
    }
    for content in found {
      #expect(content.count == 3000)
      #expect(content[..<700].allSatisfy { $0 == 1 } && content[2700...].allSatisfy { $0 == 1 })
      for sector in stride(from: 512, to: 2700, by: 512) {
        #expect(Set(content[max(700, sector)..<min(2700, sector + 512)]).count == 1, "torn inside a sector")
      }
    }
    #expect(found.contains { $0[700] == 2 && $0[2600] == 1 }, "no seed cut the write short")
    #expect(found.contains { $0[700] == 1 && $0[2600] == 2 }, "no seed kept sectors out of order")
    #expect(Set(found.map { $0[700] }) == [1, 2] && Set(found.map { $0[2600] }) == [1, 2])
  }

  @Test func attributesAreLostWithTheContent() throws {
    for (seed, mode) in [(UInt64(0), UInt32(0o600)), (1, 0o644)] {
      let folder = try TemporaryFolder()
      let path = try folder.write("a", old)
      let loss = PowerLoss(root: folder.path)
      var attributes = try #require(try loss.status(path)?.attributes)
      attributes.permissions = 0o644
      let file = try loss.open(path, .update)
      defer { loss.close(file) }
      _ = try loss.setAttributes(file, attributes)
      try loss.crash(seed: seed)
      #expect(try SystemFileOperations().status(path)?.permissions == mode)
    }
  }
}
