import BackupEngine
import BackupPolicy
import Glibc
import TestSupport
import Testing

@Suite(.ownThread) struct SupportPowerLossBoundaryTests: PowerLossSuite {
  @Test func whatOthersDidStays() throws {
    let found = try outcomes(before: {
      try $0.write("removed", old); try $0.write("rewritten", old)
    }) { files, folder in
      try folder.write("theirs", new)
      #expect(unlink(folder.path("removed")) == 0)
      try folder.write("rewritten", new)
      try files.createFile(folder.path("ours"), [], synced: false)
      try files.syncFolder(folder.path)
      try folder.write("ours", new)
      // Created by us under this name, and by another program since.
      try files.createFile(folder.path("gone"), new, synced: true)
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
      try files.createFile(outside.path("a"), new, synced: false)
      try files.createFile(folder.path("b"), new, synced: false)
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
    #expect(throws: Killed.self) { try loss.createFile(folder.path("a"), new, synced: true) }
    #expect(throws: Killed.self) { try loss.list(folder.path) }
    #expect(try names(folder) == ["lock"])
    loss.close(lock)
    let system = SystemFileOperations()
    let again = try system.open(folder.path("lock"), .lockFile)
    defer { system.close(again) }
    #expect(try system.lock(again, exclusive: true, wait: false))
  }

  /// SQLite holds such locks while a database is replaced; if an ordinary descriptor were closed,
  /// it would drop them.
  @Test func recordingDropsNoPOSIXLockOfThisProcess() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("a", old)
    let holder = open(path, O_RDWR | O_CLOEXEC)
    defer { close(holder) }
    var request = flock(l_type: Int16(F_WRLCK), l_whence: Int16(SEEK_SET), l_start: 0, l_len: 0, l_pid: 0)
    try #require(fcntl(holder, F_SETLK, &request) == 0)
    let loss = PowerLoss(root: folder.path)
    try loss.rename(path, to: folder.path("b"))
    try loss.createFile(path, new, synced: true)
    try loss.rename(path, to: folder.path("b"))
    try loss.syncFolder(folder.path)
    try loss.rename(folder.path("b"), to: path)
    request = flock(l_type: Int16(F_WRLCK), l_whence: Int16(SEEK_SET), l_start: 0, l_len: 0, l_pid: 0)
    let script = "import fcntl,sys; f=open(sys.argv[1],'r+b'); fcntl.lockf(f, fcntl.LOCK_EX|fcntl.LOCK_NB)"
    #expect(try Python.run(script: script, arguments: ["/proc/\(getpid())/fd/\(holder)"]).status == 1)
    try loss.crash(seed: 1)
  }
}
