import BackupPolicy

// The values that only channels have. A URL may contain a secret, so their messages never repeat it.
extension ValueKind {
  private static let schemes = ["https://", "http://", "smtps://", "smtp://"]

  func channelAddress(_ raw: RawValue) throws(ValueProblem) -> String {
    try address(raw, Self.schemes, "smtp://host:587 or https://host/path")
  }

  func webAddress(_ raw: RawValue) throws(ValueProblem) -> String {
    try address(raw, Array(Self.schemes.prefix(2)), "https://host/path")
  }

  private func address(_ raw: RawValue, _ schemes: [String], _ expected: String) throws(ValueProblem) -> String {
    let text: String
    switch raw {
    case .string(let given), .untyped(let given): text = given
    default: throw ValueProblem(raw, isNot: "a URL", hint: "write \(expected), in quotes")
    }
    guard let scheme = schemes.first(where: text.hasPrefix), text.count > scheme.count,
      text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
    else { throw ValueProblem(problem: "is not a URL that can be used", hint: "write \(expected)") }
    guard !text.dropFirst(scheme.count).prefix(while: { $0 != "/" }).contains("@") else {
      throw ValueProblem(
        problem: "contains a user or a password, which does not belong in a URL",
        hint: "use user and password_file for mail, and url_file for other URLs")
    }
    return text
  }

  func mailAddresses(_ raw: RawValue) throws(ValueProblem) -> [String] {
    let expected = "an address such as ops@example.com"
    let texts: [String]
    switch raw {
    case .string(let text), .untyped(let text): texts = text.split(separator: ",").map { String($0).trimmed }
    case .list(let items): texts = items.map { if case .string(let text) = $0.value { text } else { "" } }
    default: throw ValueProblem(raw, isNot: expected, hint: "write it in quotes")
    }
    let areSound = texts.allSatisfy { text in
      let parts = text.split(separator: "@", omittingEmptySubsequences: false)
      return parts.count == 2 && parts.allSatisfy { !$0.isEmpty } && text.utf8.count <= 254
        && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f } && !text.contains { "<>\"(),;:\\[]".contains($0) }
    }
    guard !texts.isEmpty, areSound else {
      throw ValueProblem(raw, isNot: expected, hint: "write only the address, without a name")
    }
    return texts
  }

  /// A program and its arguments.
  func arguments(_ raw: RawValue) throws(ValueProblem) -> [String] {
    let texts: [String]
    switch raw {
    case .string(let text), .untyped(let text):
      guard !text.contains(where: \.isWhitespace) else {
        throw ValueProblem(
          raw, isNot: "a program", hint: "write an array: command = [\"/usr/local/bin/page-me\", \"--now\"]")
      }
      texts = [text]
    case .list(let items): texts = items.map { if case .string(let text) = $0.value { text } else { "\0" } }
    default: throw ValueProblem(raw, isNot: "a program and its arguments", hint: "write an array of texts")
    }
    guard let first = texts.first, !first.isEmpty, !texts.contains(where: { $0.utf8.contains(0) }) else {
      throw ValueProblem(raw, isNot: "a program and its arguments", hint: "write an array of texts")
    }
    return texts
  }

  /// `08:00`
  func timeOfDay(_ raw: RawValue) throws(ValueProblem) -> String {
    let expected = "a time of the day such as 08:00"
    let text = try string(raw, expected)
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ (1...2).contains($0.count) && $0.allSatisfy(\.isNumber) }),
      let hour = Int(parts[0]), let minute = Int(parts[1]), hour < 24, minute < 60, parts[1].count == 2
    else { throw ValueProblem(raw, isNot: expected) }
    return text
  }
}
