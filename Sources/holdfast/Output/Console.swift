import BackupEngine
import BackupPolicy
import Glibc
import Names
import Synchronization

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
  ///   - isVerbatim: the lines are no text of ours, such as SQL, and stay as they are on a terminal too.
  /// - Throws: if standard output cannot be written: a result that nobody got is a failure.
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

  /// Lines of a result for people, for those who print it part by part; nothing with `--json`.
  func show(_ lines: [String], isVerbatim: Bool = false) throws {
    guard !json, !lines.isEmpty else { return }
    // Escaped first: colours are ours.
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
    let text = TerminalStyle.errors.rendered(lines.map(\.printableLine)).map { "\($0)\n" }.joined()
    try? write(Array(text.utf8), to: STDERR_FILENO)
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
