import BackupPolicy
import Names
import ObjectStorage

// The values that only targets have. An address or a proxy may contain a password by mistake, so
// their messages never repeat the value.
extension ValueKind {
  /// The placeholder for the name of the database in an address.
  static let namePlaceholder = "{name}"

  func storeAddress(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    if raw == .string("none") || raw == .untyped("none") { return .none }
    let expected = "s3://bucket/prefix or the path of a folder"
    let text: String
    switch raw {
    case .string(let given), .untyped(let given): text = given
    default: throw ValueProblem(raw, isNot: expected, hint: "write \(expected), in quotes")
    }
    guard !text.isEmpty else { throw ValueProblem(problem: "is empty", hint: "write \(expected), or omit it") }
    let named = text.replacing(Self.namePlaceholder, with: "name")
    if named.contains("{") || named.contains("}") {
      throw ValueProblem(
        problem: "contains braces, but only {name} is replaced here", hint: "write {name}, or %7B and %7D for braces")
    }
    if text.hasPrefix("$") || text.contains("${") {
      throw ValueProblem(problem: "contains a $, but variables are not replaced here", hint: "write the address itself")
    }
    do {
      _ = try StoreURL(named)
    } catch {
      throw ValueProblem(problem: ": \(error.message)", hint: Self.addressHint(text, expected))
    }
    return .text(text)
  }

  private static func addressHint(_ text: String, _ expected: String) -> String {
    text.contains("@") ? "the key belongs in credentials_file or in the environment" : "use \(expected)"
  }

  func label(_ raw: RawValue) throws(ValueProblem) -> String {
    let text = try string(raw, "a name such as s3")
    let isSound =
      text.utf8.count <= 100 && !text.hasPrefix("-") && !text.hasPrefix(".")
      && text.allSatisfy { $0.isLetter || $0.isNumber || "._-".contains($0) }
    guard isSound else {
      throw ValueProblem(raw, isNot: "the name of a target", hint: "use letters, digits, dots and dashes")
    }
    return text
  }

  func rate(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    let expected = "a number of bytes a second with a unit, such as 500KiB or 2MiB, or none"
    if case .integer(let number) = raw {
      throw ValueProblem(raw, isNot: expected, hint: "write \"\(number)KiB\" or \"\(number)MiB\"")
    }
    let text = try string(raw, expected)
    if text == "none" { return .none }
    guard case .bytes(let bytes) = FreeSpace(argument: text.hasSuffix("/s") ? String(text.dropLast(2)) : text) else {
      throw ValueProblem(raw, isNot: expected)
    }
    guard bytes >= 1024 else {
      throw ValueProblem(problem: "is \(raw.quoted), which is too low", hint: "use at least 1KiB")
    }
    return .rate(bytes)
  }

  func storageClass(_ raw: RawValue) throws(ValueProblem) -> String {
    let text = try string(raw, "a class such as STANDARD_IA")
    guard text.utf8.count <= 64, text.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "_-".contains($0)) })
    else {
      throw ValueProblem(
        raw, isNot: "the name of a storage class", hint: "write it as the store does, such as STANDARD_IA")
    }
    guard !Self.slowClasses.contains(text.uppercased().replacing("_", with: "").replacing("-", with: "")) else {
      throw ValueProblem(
        problem: "is \(raw.quoted), whose objects must be ordered hours before a restore",
        hint: "use STANDARD_IA or GLACIER_IR, which can be read at once")
    }
    return text
  }

  /// Classes whose objects cannot be read at once, without `_` and `-`.
  private static let slowClasses: Set = ["GLACIER", "DEEPARCHIVE", "ARCHIVE", "COLDARCHIVE", "DEEPCOLDARCHIVE"]

  func proxy(_ raw: RawValue) throws(ValueProblem) -> String {
    let example = "http://proxy.internal:3128"
    guard case .string(let text) = raw.asText, !text.isEmpty else {
      throw ValueProblem(problem: "is not the URL of a proxy", hint: "write it in quotes, such as \"\(example)\"")
    }
    guard !text.contains("@") else {
      throw ValueProblem(
        problem: "contains a user or a password, which does not belong in a setting",
        hint: "set https_proxy in the environment of the agent instead")
    }
    let schemes = ["http://", "https://", "socks5://", "socks5h://"]
    guard let scheme = schemes.first(where: { text.hasPrefix($0) }), text.count > scheme.count,
      !text.contains(where: { $0.isWhitespace || $0 == "\0" })
    else { throw ValueProblem(raw, isNot: "the URL of a proxy", hint: "write it as \(example)") }
    return text
  }
}

extension RawValue {
  /// Text of either form as a string; any other value unchanged.
  fileprivate var asText: RawValue {
    if case .untyped(let text) = self { .string(text) } else { self }
  }
}
