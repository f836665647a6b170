import BackupPolicy
import TOML

/// A value before it is checked against its setting.
indirect enum RawValue: Hashable, Sendable {
  /// Text without a type: a flag, an environment variable, a line of `.env`.
  case untyped(String)
  case string(String)
  case boolean(Bool)
  case integer(Int64)
  case list([RawItem])
  /// A value of a type that no setting has, as the name of the type: `a date`, `a table`.
  case other(String)

  /// One line for people.
  var text: String {
    switch self {
    case .untyped(let text), .string(let text): text
    case .boolean(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .list(let items): items.map(\.value.text).joined(separator: "; ")
    case .other(let type): type
    }
  }

  /// Another text, written as this value is written.
  func spelt(_ text: String) -> String {
    if case .string = self { return "\"\(text)\"" }
    return text
  }

  /// As a message quotes it: text in quotes, the rest as it is written.
  var quoted: String {
    switch self {
    case .untyped(let text), .string(let text): "\"\(text.shortened)\""
    case .list: "an array"
    default: text
    }
  }
}

/// An item of an array and its place.
struct RawItem: Hashable, Sendable {
  var value: RawValue
  var position: FilePosition
}

extension RawValue {
  /// A value of `holdfast.toml`.
  init(_ value: TOMLDocument.Value) {
    self =
      switch value.content {
      case .string(let text): .string(text)
      case .boolean(let value): .boolean(value)
      case .integer(let number): .integer(number)
      case .other(let type): .other(type)
      case .array(let items): .list(items.map { RawItem(value: RawValue($0), position: $0.position) })
      case .table: .other("a table")
      }
  }
}

/// The reason why a value does not fit: the message after the name of the setting, and a hint.
struct ValueProblem: Error, Hashable {
  /// `is "maybe", which is not true or false`.
  var problem: String
  /// The same in the words of those who parse flags: `'maybe' is invalid: it is not true or false`.
  var problemOfFlag: String
  var hint: String
  /// The place, if an item of an array does not fit.
  var position: FilePosition?

  /// - Parameter expected: the values that fit.
  init(_ raw: RawValue, isNot expected: String, hint: String? = nil) {
    problem = "is \(raw.quoted), which is not \(expected)"
    problemOfFlag = "'\(raw.text.shortened)' is invalid: it is not \(expected)"
    self.hint = hint ?? "use \(expected)"
  }

  /// The error of a reader of text.
  ///
  /// - Parameters:
  ///   - subject: the first words of its messages, which the setting's name already says.
  ///   - hint: unless it has one.
  init(_ error: any Error, about subject: String, hint: String) {
    guard let error = error as? HoldfastError else {
      self.init(problem: ": \(error)", hint: hint)
      return
    }
    let message = error.message
    let rest = message.hasPrefix("\(subject) ") ? "is\(message.dropFirst(subject.count))" : ": \(message)"
    self.init(problem: rest, hint: error.hint ?? hint)
  }

  /// `"value"`, with the quotes. The value is not shown, because a URL of another program may
  /// contain a password.
  static let quotes = ValueProblem(
    problem: "begins and ends with a quotation mark, which is part of the value here",
    hint: "remove the quotes: docker's --env-file keeps them, and nothing removes them here")

  init(problem: String, hint: String) {
    self.problem = problem
    problemOfFlag = problem
    self.hint = hint
  }
}

extension String {
  /// Whether it is text between two quotation marks of one kind.
  var isQuoted: Bool {
    guard utf8.count >= 2, let first, first == last else { return false }
    return first == "\"" || first == "'"
  }

  /// Without such quotation marks.
  var unquoted: String { isQuoted ? String(dropFirst().dropLast()) : self }
}
