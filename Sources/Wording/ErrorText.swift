import BackupEngine
import BackupPolicy
import Names

/// An error as the command line reports it: the message, then the hint.
package struct ErrorText {
  private let error: HoldfastError
  private let commands: CommandSpelling

  package init(_ error: HoldfastError, _ commands: CommandSpelling) {
    (self.error, self.commands) = (error, commands)
  }

  /// For people.
  package var lines: [String] {
    [Self.failureLine(error.message.printable)] + marked
      + (error.hint.map { ["holdfast: hint: \(commands.applied(to: $0.printable))"] } ?? [])
  }

  /// The line that begins each report of an error.
  package static func failureLine(_ message: String) -> String { "holdfast: error: \(message)" }

  /// The schedule that cannot be read, and a mark below the part that is wrong; empty for other
  /// errors.
  private var marked: [String] {
    var cause = error.cause
    while let wrapped = cause as? HoldfastError { cause = wrapped.cause }
    guard let error = cause as? CronSyntaxError, error.text.count <= 100 else { return [] }
    let text = String(error.text.map { $0 == "\t" ? " " : $0 })
    guard !text.isEmpty, text == text.printable else { return [] }
    return ["  " + text, String(repeating: " ", count: error.column + 1) + String(repeating: "^", count: error.length)]
  }

  /// For scripts: `code`, `message` and `hint`.
  package var json: JSONValue {
    .object([
      "code": .string(error.code.rawValue), "message": .string(error.message),
      "hint": .optional(error.hint.map(commands.applied)),
    ])
  }
}
