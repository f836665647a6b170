import BackupEngine
import BackupPolicy
import Glibc
import Names

/// Results on standard output, everything else on standard error.
///
/// Each line is made printable here, whatever it came from: no name or description reaches a terminal as it is.
struct Console: Sendable {
  /// Standard output gets one JSON document and nothing else.
  let json: Bool
  /// Only results and errors.
  let quiet: Bool

  /// The result of a command.
  ///
  /// - Parameters:
  ///   - document: with `--json`.
  ///   - lines: without it.
  /// - Throws: where standard output cannot be written: a result that nobody got is a failure.
  func show(_ document: @autoclosure () -> JSONValue, _ lines: @autoclosure () -> [String]) throws {
    if json {
      try Self.write(document().encoded(), to: STDOUT_FILENO)
    } else {
      try show(lines())
    }
  }

  /// Lines of a result for people, for those who print it part by part; nothing with `--json`.
  func show(_ lines: [String]) throws {
    guard !json, !lines.isEmpty else { return }
    try Self.write(Array(lines.map { "\($0.printableLine)\n" }.joined().utf8), to: STDOUT_FILENO)
  }

  /// A question, without a line's end.
  func ask(_ question: String) {
    try? Self.write(Array(question.printableLine.utf8), to: STDERR_FILENO)
  }

  /// Ends the line of a question that nobody answered.
  func endQuestion() {
    try? Self.write([UInt8(ascii: "\n")], to: STDERR_FILENO)
  }

  /// Lines on standard error; failing to write them is ignored, for there is nowhere left to say so.
  static func tell(_ lines: [String]) {
    try? write(Array(lines.map { "\($0.printableLine)\n" }.joined().utf8), to: STDERR_FILENO)
  }

  static func write(_ bytes: [UInt8], to descriptor: Int32) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        throw HoldfastError(errno: errno, "write", descriptor == STDOUT_FILENO ? "standard output" : "standard error")
      }
      rest = rest.dropFirst(count)
    }
  }
}
