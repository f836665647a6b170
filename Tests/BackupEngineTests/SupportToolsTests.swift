import BackupEngine
import BackupPolicy
import Glibc
import TestSupport
import Testing

@Suite(.ownThread) struct SupportToolsTests {
  @Test func bigOutputsOnBothSidesDoNotBlock() throws {
    let input = [UInt8](repeating: 65, count: 1 << 20)
    let result = try Python.run(
      script: """
        import os, sys
        text = sys.stdin.read()
        sys.stderr.write(text * 2)
        sys.stdout.write(text + sys.argv[1] + os.environ["GIVEN"])
        sys.exit(3)
        """,
      arguments: ["é a'\"b"], environment: ["GIVEN": "x"], stdin: input)
    #expect(result.status == 3)
    #expect(result.output == input + Array("é a'\"bx".utf8))
    #expect(result.errors.count == 2 << 20)
  }

  @Test func programsRunInAFolderWithoutTheTestsVariables() throws {
    setenv("BACKUP_LEAK", "1", 1)
    let folder = try TemporaryFolder()
    let result = try Shell.run("sh", ["-c", "pwd; echo \"$BACKUP_LEAK|$1\"", "sh", "two words"], in: folder.path)
    #expect(result.stdout == "\(folder.path)\n|two words\n")
  }

  @Test func signalsAndMissingProgramsAreReported() throws {
    #expect(try Shell.run("sh", ["-c", "kill -9 $$"]).status == 137)
    let error = #expect(throws: HoldfastError.self) { try Shell.run("/nowhere/program") }
    #expect(error?.message == "cannot run /nowhere/program: no such file or directory")
  }

  @Test func aDigestSeesEveryKindOfChange() throws {
    let folder = try TemporaryFolder()
    for name in ["same", "grown", "flipped", "mode", "replaced", "removed", "x-shm"] {
      try folder.write(name, [1, 2, 3])
    }
    try SystemFileOperations().makeFolder(folder.path("sub"))
    let before = try FolderDigest.of(folder.path, ignoring: ["-shm"])
    #expect(before.differences(to: try FolderDigest.of(folder.path, ignoring: ["-shm"])) == [])
    try folder.write("grown", [1, 2, 3, 4])
    try folder.write("flipped", [1, 2, 4])
    try folder.write("x-shm", [])
    chmod(folder.path("mode"), 0o640)
    rename(try folder.write("tmp", [1, 2, 3]), folder.path("replaced"))
    unlink(folder.path("removed"))
    try folder.write("sub/added", [9])
    let after = try FolderDigest.of(folder.path, ignoring: ["-shm"])
    #expect(before != after)
    #expect(
      before.differences(to: after) == [
        "changed flipped: content from byte 2", "changed grown: 3 → 4 bytes", "changed mode: mode 100600 → 100640",
        "removed removed (3 bytes)", "changed replaced: another inode", "added sub/added (1 bytes)",
      ])
  }

  @Test func aDigestWithTimesSeesARewriteOfTheSameBytes() throws {
    let folder = try TemporaryFolder()
    try folder.write("a", [1])
    let before = try FolderDigest.of(folder.path, times: true)
    var times = [timeval(tv_sec: 1000, tv_usec: 0), timeval(tv_sec: 1000, tv_usec: 0)]
    utimes(folder.path("a"), &times)
    #expect(before.differences(to: try FolderDigest.of(folder.path, times: true)) == ["changed a: modification time"])
  }

  @Test func aTemporaryFolderRemovesItselfWithReadOnlyFolders() throws {
    var folder: TemporaryFolder? = try TemporaryFolder()
    let path = try #require(folder?.path)
    try SystemFileOperations().makeFolder("\(path)/sub")
    try folder?.write("sub/a", [1])
    chmod("\(path)/sub", 0o500)
    folder = nil
    #expect(try SystemFileOperations().status(path) == nil)
  }

  @Test func timeMovesOnlyWhenMoved() {
    let time = ManualTime()
    #expect(time.now().iso8601 == "2023-11-16T14:30:22.000Z")
    time.advance(seconds: 2)
    time.advance(milliseconds: 5)
    #expect(time.now().iso8601 == "2023-11-16T14:30:24.005Z")
    time.set(Timestamp(milliseconds: 0))
    #expect(time.now().milliseconds == 0)
  }

  /// The first outputs of Vigna's splitmix64.c for seed 1234567.
  @Test func theGeneratorIsSplitMix64() {
    var generator = SeededGenerator(seed: 1_234_567)
    let first = [generator.next(), generator.next(), generator.next()]
    #expect(first == [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423])
    var again = SeededGenerator(seed: 1_234_567)
    let bytes = again.bytes(11)
    let expected: [UInt8] = first.flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
    #expect(bytes == Array(expected.prefix(11)))
  }
}
