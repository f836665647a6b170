import TOML

/// A value as it was found, before it is known to fit its setting.
indirect enum RawValue: Hashable, Sendable {
  /// Text without a type: a flag, an environment variable, a line of `.env`.
  case untyped(String)
  case string(String)
  case boolean(Bool)
  case integer(Int64)
  case list([RawItem])
  /// Something that no setting takes, by its name: `a date`, `a table`.
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

  /// Another text as it would stand in this one's place.
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

/// An item of an array, and where it stands.
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
