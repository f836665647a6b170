import BackupEngine
import TestSupport
import Testing

@Suite(.ownThread) struct SupportPowerLossNameTests: PowerLossSuite {
  @Test func aFlushedFileNeedsAFlushedName() throws {
    let found = try outcomes { files, folder in
      try files.createFile(folder.path("a"), new, synced: true)
    } look: {
      try $0.read("a")
    }
    #expect(found[0] == nil)
    #expect(found.allSatisfy { $0 == nil || $0 == new })
    #expect(found.contains(new))
  }

  @Test func aNewFolderIsLostWithEverythingInIt() throws {
    let found = try outcomes { files, folder in
      try files.makeFolder(folder.path("sub"))
      try files.createFile(folder.path("sub/a"), new, synced: true)
      try files.syncFolder(folder.path("sub"))
    } look: {
      try $0.read("sub/a")
    }
    #expect(found[0] == nil)
    #expect(found.contains(new))
    let made = try outcomes(work: { try $0.makeFolders($1.path("x/y")) }, look: { try names($0) })
    #expect(made.allSatisfy { $0 == ["x"] })
  }

  @Test func aRemovedFileMayComeBackWithItsContent() throws {
    let found = try outcomes(before: { try $0.write("a", old) }, work: { try $0.unlink($1.path("a")) }) {
      try $0.read("a")
    }
    #expect(found[0] == old)
    #expect(found[1] == nil)
    #expect(found.allSatisfy { $0 == nil || $0 == old })
    let flushed = try outcomes(before: { try $0.write("a", old) }) { files, folder in
      try files.unlink(folder.path("a"))
      try files.syncFolder(folder.path)
    } look: {
      try $0.read("a")
    }
    #expect(flushed.allSatisfy { $0 == nil })
  }

  @Test func namesAreIndependent() throws {
    let found = try outcomes { files, folder in
      try files.createFile(folder.path("a"), new, synced: true)
      try files.createFile(folder.path("b"), new, synced: true)
    } look: {
      try names($0)
    }
    #expect(Set(found) == [[], ["a"], ["b"], ["a", "b"]])
  }

  @Test func aRenamedFileAlwaysHasExactlyOneName() throws {
    let found = try outcomes(before: { try $0.write("a", old) }) { files, folder in
      try files.rename(folder.path("a"), to: folder.path("b"))
      try files.rename(folder.path("b"), to: folder.path("c"))
      try files.createFile(folder.path("a"), new, synced: true)
    } look: { folder in
      try names(folder).filter { try folder.read($0) == old }
    }
    #expect(Set(found) == [["a"], ["b"], ["c"]])
  }

  @Test func namesThatAreSwappedComeBackSwapped() throws {
    let found = try outcomes(
      0..<1,
      before: {
        try $0.write("a", old); try $0.write("b", new)
      }
    ) { files, folder in
      try files.rename(folder.path("a"), to: folder.path("x"))
      try files.rename(folder.path("b"), to: folder.path("a"))
      try files.rename(folder.path("x"), to: folder.path("b"))
    } look: {
      (try names($0), try $0.read("a"), try $0.read("b"))
    }
    #expect(found[0].0 == ["a", "b"] && found[0].1 == old && found[0].2 == new)
  }

  /// The folder that is flushed after a rename from `from` to `to`, and the folders that may then
  /// contain the file.
  @Test(arguments: [("from", ["from", "to"]), ("to", ["to"])])
  func aRenameIsDurableWithItsNewFolder(flushed: String, places: [String]) throws {
    let found = try outcomes(before: { folder in
      for name in ["from", "to"] { try SystemFileOperations().makeFolder(folder.path(name)) }
      try folder.write("from/a", old)
    }) { files, folder in
      try files.rename(folder.path("from/a"), to: folder.path("to/a"))
      try files.syncFolder(folder.path(flushed))
    } look: { folder in
      try ["from", "to"].filter { try folder.read("\($0)/a") == old }
    }
    #expect(found.allSatisfy { $0.count == 1 })
    #expect(Set(found.flatMap { $0 }) == Set(places))
  }

  @Test func aFlushedNameBringsTheRenameThatFreedIt() throws {
    let found = try outcomes(before: { folder in
      for name in ["from", "to"] { try SystemFileOperations().makeFolder(folder.path(name)) }
      try folder.write("from/a", old)
    }) { files, folder in
      try files.rename(folder.path("from/a"), to: folder.path("to/a"))
      try files.createFile(folder.path("from/a"), new, synced: true)
      try files.syncFolder(folder.path("from"))
    } look: {
      [try $0.read("from/a"), try $0.read("to/a")]
    }
    #expect(found.allSatisfy { $0 == [new, old] })
  }

  @Test func aSeedRepeats() throws {
    func run() throws -> [[String: [UInt8]]] {
      try outcomes(5..<25) { files, folder in
        for name in ["a", "b", "c", "d"] { try files.createFile(folder.path(name), new + old, synced: false) }
      } look: { folder in
        Dictionary(uniqueKeysWithValues: try names(folder).map { ($0, try folder.read($0) ?? []) })
      }
    }
    let first = try run()
    #expect(try run() == first)
    #expect(Set(first).count > 5)
  }
}
