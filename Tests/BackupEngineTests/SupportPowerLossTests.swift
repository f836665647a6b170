import BackupEngine
import BackupPolicy
import Glibc
import TestSupport
import Testing

private let old = [UInt8](repeating: 1, count: 3000)
private let new = [UInt8](repeating: 2, count: 4000)
private let seeds: Range<UInt64> = 0..<64

extension FileOperations {
  fileprivate func create(_ path: String, _ bytes: [UInt8], synced: Bool) throws {
    let file = try open(path, .createNew)
    defer { close(file) }
    try bytes.withUnsafeBytes { try write(file, $0, at: 0) }
    if synced { try sync(file) }
  }
}

/// Runs `work` on a folder of its own, loses power after it, and returns what `look` finds: once for each seed.
private func outcomes<Outcome>(
  _ seeds: Range<UInt64> = seeds, before: (TemporaryFolder) throws -> Void = { _ in },
  work: (any FileOperations, TemporaryFolder) throws -> Void, look: (TemporaryFolder) throws -> Outcome
) throws -> [Outcome] {
  try seeds.map { seed in
    let folder = try TemporaryFolder()
    try before(folder)
    let loss = PowerLoss(root: folder.path)
    try work(loss, folder)
    try loss.crash(seed: seed)
    return try look(folder)
  }
}

private func names(_ folder: TemporaryFolder) throws -> [String] {
  try SystemFileOperations().list(folder.path).sorted()
}

@Suite struct SupportPowerLossContentTests {
  @Test func renamingBeforeTheContentIsFlushedIsCaught() throws {
    let found = try outcomes(before: { try $0.write("a", old) }) { files, folder in
      try files.create(folder.path("tmp"), new, synced: false)
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
      for seed in seeds {
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
      try files.create(folder.path("tmp"), new, synced: true)
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
      try files.create(folder.path("a"), new, synced: false)
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
      var model = try #require(try loss.status(path))
      model.permissions = 0o644
      try loss.setAttributes(path, of: model)
      try loss.crash(seed: seed)
      #expect(try SystemFileOperations().status(path)?.permissions == mode)
    }
  }
}

@Suite struct SupportPowerLossNameTests {
  @Test func aFlushedFileNeedsAFlushedName() throws {
    let found = try outcomes { files, folder in
      try files.create(folder.path("a"), new, synced: true)
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
      try files.create(folder.path("sub/a"), new, synced: true)
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
      try files.create(folder.path("a"), new, synced: true)
      try files.create(folder.path("b"), new, synced: true)
    } look: {
      try names($0)
    }
    #expect(Set(found) == [[], ["a"], ["b"], ["a", "b"]])
  }

  @Test func aRenamedFileAlwaysHasExactlyOneName() throws {
    let found = try outcomes(before: { try $0.write("a", old) }) { files, folder in
      try files.rename(folder.path("a"), to: folder.path("b"))
      try files.rename(folder.path("b"), to: folder.path("c"))
      try files.create(folder.path("a"), new, synced: true)
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

  /// Which folder is flushed after a rename from `from` to `to`, and the folders where the file may then be.
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
      try files.create(folder.path("from/a"), new, synced: true)
      try files.syncFolder(folder.path("from"))
    } look: {
      [try $0.read("from/a"), try $0.read("to/a")]
    }
    #expect(found.allSatisfy { $0 == [new, old] })
  }

  @Test func aSeedRepeats() throws {
    func run() throws -> [[String: [UInt8]]] {
      try outcomes(5..<25) { files, folder in
        for name in ["a", "b", "c", "d"] { try files.create(folder.path(name), new + old, synced: false) }
      } look: { folder in
        Dictionary(uniqueKeysWithValues: try names(folder).map { ($0, try folder.read($0) ?? []) })
      }
    }
    let first = try run()
    #expect(try run() == first)
    #expect(Set(first).count > 5)
  }
}

@Suite struct SupportPowerLossBoundaryTests {
  @Test func whatOthersDidStays() throws {
    let found = try outcomes(before: {
      try $0.write("removed", old); try $0.write("rewritten", old)
    }) { files, folder in
      try folder.write("theirs", new)
      #expect(unlink(folder.path("removed")) == 0)
      try folder.write("rewritten", new)
      try files.create(folder.path("ours"), [], synced: false)
      try files.syncFolder(folder.path)
      try folder.write("ours", new)
      // Ours by name, theirs since.
      try files.create(folder.path("gone"), new, synced: true)
      #expect(unlink(folder.path("gone")) == 0)
    } look: { folder in
      #expect(try names(folder) == ["ours", "rewritten", "theirs"])
      return try ["theirs", "rewritten", "ours"].allSatisfy { try folder.read($0) == new }
    }
    #expect(found.allSatisfy { $0 })
  }

  @Test func filesOutsideTheRootAreNeverLost() throws {
    let outside = try TemporaryFolder()
    let found = try outcomes(0..<1) { files, folder in
      try files.create(outside.path("a"), new, synced: false)
      try files.create(folder.path("b"), new, synced: false)
    } look: {
      try names($0) + names(outside)
    }
    #expect(found == [["a"]])
    #expect(try outside.read("a") == new)
  }

  @Test func powerStaysOff() throws {
    let folder = try TemporaryFolder()
    let loss = PowerLoss(root: folder.path)
    let lock = try loss.open(folder.path("lock"), .lockFile)
    try loss.syncFolder(folder.path)
    #expect(try loss.lock(lock, exclusive: true, wait: false))
    try loss.crash(seed: 1)
    #expect(throws: Killed.self) { try loss.create(folder.path("a"), new, synced: true) }
    #expect(throws: Killed.self) { try loss.list(folder.path) }
    #expect(try names(folder) == ["lock"])
    loss.close(lock)
    let system = SystemFileOperations()
    let again = try system.open(folder.path("lock"), .lockFile)
    defer { system.close(again) }
    #expect(try system.lock(again, exclusive: true, wait: false))
  }

  /// SQLite holds such locks while a database is replaced; an ordinary descriptor, closed, would drop them.
  @Test func recordingDropsNoPOSIXLockOfThisProcess() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("a", old)
    let holder = open(path, O_RDWR | O_CLOEXEC)
    defer { close(holder) }
    var request = flock(l_type: Int16(F_WRLCK), l_whence: Int16(SEEK_SET), l_start: 0, l_len: 0, l_pid: 0)
    try #require(fcntl(holder, F_SETLK, &request) == 0)
    let loss = PowerLoss(root: folder.path)
    try loss.rename(path, to: folder.path("b"))
    try loss.create(path, new, synced: true)
    try loss.rename(path, to: folder.path("b"))
    try loss.syncFolder(folder.path)
    try loss.rename(folder.path("b"), to: path)
    request = flock(l_type: Int16(F_WRLCK), l_whence: Int16(SEEK_SET), l_start: 0, l_len: 0, l_pid: 0)
    let script = "import fcntl,sys; f=open(sys.argv[1],'r+b'); fcntl.lockf(f, fcntl.LOCK_EX|fcntl.LOCK_NB)"
    #expect(try Python.run(script: script, arguments: ["/proc/\(getpid())/fd/\(holder)"]).status == 1)
    try loss.crash(seed: 1)
  }
}
