import BackupEngine
import BackupPolicy
import Glibc
import Logging
import Names
import Synchronization
import Wording

/// Results on standard output, everything else on standard error.
///
/// Each line is made printable here, whatever its origin, so no name or description reaches a
/// terminal unescaped.
struct Console: Sendable {
  /// Standard output gets exactly one JSON document.
  let json: Bool
  /// Only results and errors.
  let quiet: Bool

  /// The result of a command.
  ///
  /// - Parameters:
  ///   - document: with `--json`.
  ///   - lines: without it.
  ///   - isVerbatim: the lines are foreign text, such as SQL, and are also printed unchanged on a
  ///     terminal.
  /// - Throws: if standard output cannot be written, because the caller then has no result.
  func show(
    _ document: @autoclosure () -> JSONValue, _ lines: @autoclosure () -> [String], isVerbatim: Bool = false
  ) throws {
    if json {
      let document = document()
      guard !Self.collect(document) else { return }
      try Self.write(document.encoded(), to: STDOUT_FILENO)
    } else {
      try show(lines(), isVerbatim: isVerbatim)
    }
  }

  /// Lines of a result for people, for callers that print it part by part; nothing with `--json`.
  func show(_ lines: [String], isVerbatim: Bool = false) throws {
    guard !json, !lines.isEmpty else { return }
    // Escaped first, because the colours are added here.
    let safe = lines.map(\.printableLine)
    let text = (isVerbatim ? safe : TerminalStyle.output.rendered(safe)).joined(separator: "\n") + "\n"
    try Self.write(Array(text.utf8), to: STDOUT_FILENO)
  }

  private static let collected = Mutex<[JSONValue]?>(nil)

  /// Runs `body` and returns the document that it would have printed; nil without `--json`.
  static func collecting(_ body: () throws -> Void) rethrows -> JSONValue? {
    collected.withLock { $0 = [] }
    defer { collected.withLock { $0 = nil } }
    try body()
    return collected.withLock { $0?.last }
  }

  private static func collect(_ document: JSONValue) -> Bool {
    collected.withLock {
      $0?.append(document)
      return $0 != nil
    }
  }

  /// A question, without a line end.
  func ask(_ question: String) {
    try? Self.write(Array(question.printableLine.utf8), to: STDERR_FILENO)
  }

  /// Ends the line of an unanswered question.
  func endQuestion() {
    try? Self.write([UInt8(ascii: "\n")], to: STDERR_FILENO)
  }

  /// Lines on standard error; a failed write is ignored, because there is no other place to report
  /// it.
  static func tell(_ lines: [String]) {
    let text = TerminalStyle.errors.rendered(lines.map(\.printableLine)).map { "\($0)\n" }.joined()
    try? write(Array(text.utf8), to: STDERR_FILENO)
  }

  /// Reports the failure of a command whose result, on standard output, tells the details. So a
  /// caller that discards the result, such as a line of cron, still gets a message.
  static func reportFailure(_ message: String) {
    tell([ErrorText.failureLine(message)])
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
