import BackupEngine
import BackupPolicy
import Glibc

/// The result of a program.
package struct ProgramResult: Sendable {
  /// The exit code, or 128 + the signal that ended it.
  package var status: Int32
  package var output: [UInt8]
  package var errors: [UInt8]

  package var stdout: String { String(decoding: output, as: UTF8.self) }
  package var stderr: String { String(decoding: errors, as: UTF8.self) }
}

/// Runs other programs and waits for them.
package enum Shell {
  /// Variables that a child inherits. All others come from the test, so that a developer's
  /// `BACKUP_…` cannot leak in.
  private static let inherited = [
    "PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "USER", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV",
    "LLVM_PROFILE_FILE", "ASAN_OPTIONS", "TSAN_OPTIONS",
  ]

  /// Runs a program, found along `PATH`, to its end.
  ///
  /// Its input and outputs are unnamed files, so that neither side ever waits for the other to
  /// read.
  ///
  /// - Parameters:
  ///   - program: a name or a path.
  ///   - environment: variables besides the inherited ones.
  ///   - stdin: the content of its standard input.
  ///   - folder: the working folder; this process's own if not given.
  package static func run(
    _ program: String, _ arguments: [String] = [], environment: [String: String] = [:], stdin: [UInt8] = [],
    in folder: String? = nil
  ) throws -> ProgramResult {
    let files = try (0..<3).map { _ in try unnamedFile() }
    defer { files.forEach { close($0) } }
    try Bytes.replaceContents(of: files[0], with: stdin, "standard input")
    let command = Python.resolved([program] + arguments)
    // POSIX's spawn cannot change the folder; a shell can, and then becomes the program.
    let moving = folder.map { ["sh", "-c", "cd \"$0\" && exec \"$@\"", $0] } ?? []
    let child = try spawn(moving + command, environment, files)
    return ProgramResult(
      status: try wait(for: child, program), output: try Bytes.contents(of: files[1], "standard output"),
      errors: try Bytes.contents(of: files[2], "standard error"))
  }

  private static func spawn(
    _ command: [String], _ environment: [String: String], _ files: [Int32]
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (number, file) in files.enumerated() { posix_spawn_file_actions_adddup2(&actions, file, Int32(number)) }
    let variables = inheritedVariables().merging(environment) { $1 }.map { "\($0)=\($1)" }
    var child = pid_t()
    let failure = withCStrings(command) { argv in
      withCStrings(variables) { envp in posix_spawnp(&child, command[0], &actions, nil, argv, envp) }
    }
    guard failure == 0 else { throw HoldfastError(errno: failure, "run", command[0]) }
    return child
  }

  private static func wait(for child: pid_t, _ program: String) throws -> Int32 {
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 {
      if errno != EINTR { throw HoldfastError(errno: errno, "wait for", program) }
    }
    let signal = status & 0x7f
    return signal == 0 ? (status >> 8) & 0xff : 128 + signal
  }

  private static func inheritedVariables() -> [String: String] {
    Dictionary(
      uniqueKeysWithValues: inherited.compactMap { name in getenv(name).map { (name, String(cString: $0)) } })
  }

  private static func unnamedFile() throws -> Int32 {
    let path = "/tmp/holdfast-test-\(UInt64.random(in: 0 ... .max))"
    let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw HoldfastError(errno: errno, "create", path) }
    unlink(path)
    return file
  }

  private static func withCStrings<Result>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) throws -> Result
  ) rethrows -> Result {
    let pointers = strings.map { strdup($0) }
    defer { pointers.forEach { free($0) } }
    return try body(pointers + [nil])
  }
}
