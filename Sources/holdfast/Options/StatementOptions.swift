import ArgumentParser
import BackupEngine
import BackupPolicy
import Glibc

/// SQL from the command line, from a file or from standard input.
struct StatementOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Read the SQL from this file.", valueName: "path"), completion: .file())
  var file: String?

  /// - Parameter argument: the SQL of the command line; `-` reads standard input.
  /// - Throws: `usage` unless it is given in exactly one way.
  func statement(_ argument: String?) throws -> String {
    switch (argument, file) {
    case ("-"?, nil): return try Self.read(STDIN_FILENO, "standard input")
    case (let sql?, nil): return sql
    case (nil, let file?): return try Self.read(file)
    default:
      throw HoldfastError(
        .usage, "query needs one statement: as an argument, as - for standard input, or with --file PATH",
        hint: "holdfast query latest 'SELECT count(*) FROM users'")
    }
  }

  private static func read(_ path: String) throws -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw HoldfastError(errno: errno, "open", path)
    }
    defer { close(descriptor) }
    return try read(descriptor, path)
  }

  private static func read(_ descriptor: Int32, _ name: String) throws -> String {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw HoldfastError(errno: errno, "read", name)
      }
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += buffer[..<count]
      guard bytes.count <= 1 << 20 else {
        throw HoldfastError(.usage, "\(name) holds more than 1 MiB, which is no statement")
      }
    }
  }
}
