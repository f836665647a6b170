import BackupEngine

/// Python's standard library and `cryptography` as the tests' independent oracle.
package enum Python {
  /// The path of the interpreter. A version manager's `python3` is a script, which starts several
  /// programs before Python, and these tests start Python thousands of times.
  private static let interpreter: String = {
    let result = try? Shell.run("env", ["python3", "-c", "import sys; print(sys.executable)"])
    let path = result?.stdout.split(separator: "\n").first.map(String.init) ?? ""
    return path.hasPrefix("/") ? path : "python3"
  }()

  /// A command with the interpreter's path in place of `python3`, also behind a tool that runs it.
  static func resolved(_ command: [String]) -> [String] {
    guard ["python3", "strace"].contains(command[0]), let place = command.firstIndex(of: "python3") else {
      return command
    }
    return command[..<place] + [interpreter] + command[(place + 1)...]
  }

  /// Runs a script with python3.
  ///
  /// - Parameter script: the program's text (not a path); `sys.argv[1:]` are the arguments.
  package static func run(
    script: String, arguments: [String] = [], environment: [String: String] = [:], stdin: [UInt8] = []
  ) throws -> ProgramResult {
    try Shell.run("python3", ["-c", script] + arguments, environment: environment, stdin: stdin)
  }

  /// Runs a script that is a file.
  package static func run(
    file: String, arguments: [String] = [], environment: [String: String] = [:], stdin: [UInt8] = []
  ) throws -> ProgramResult {
    try Shell.run("python3", [file] + arguments, environment: environment, stdin: stdin)
  }
}

/// The repository's root folder.
package let projectFolder = #filePath.parentPath.parentPath.parentPath

/// Restores a backup with `contrib/recover.py`, which shares no code with the engine.
///
/// - Parameters:
///   - backupDir: the repository.
///   - id: the backup.
///   - path: the file to write.
///   - password: goes through `BACKUP_ENCRYPTION_PASSWORD`.
///   - keyFile: a path; goes through `BACKUP_ENCRYPTION_KEY_FILE`.
package func recover(
  backupDir: String, id: String, to path: String, password: String? = nil, keyFile: String? = nil
) throws -> ProgramResult {
  var environment: [String: String] = [:]
  environment["BACKUP_ENCRYPTION_PASSWORD"] = password
  environment["BACKUP_ENCRYPTION_KEY_FILE"] = keyFile
  return try Python.run(
    file: "\(projectFolder)/contrib/recover.py", arguments: ["--backup-dir", backupDir, id, path],
    environment: environment)
}
