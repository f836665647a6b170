import Names

/// A file in the form of `~/.aws/config`: sections of names and values. Lines that are indented
/// belong to nested settings and are skipped.
///
/// https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
struct ProfileFile {
  /// Values by section and name; names are lower case. The section of lines before the first
  /// heading is "".
  private(set) var sections: [String: [String: String]] = [:]

  init(_ content: [UInt8]) {
    var section = ""
    for line in String(decoding: content, as: UTF8.self).lines {
      guard let first = line.first, first != "#", first != ";" else { continue }
      let text = line.trimmingSpaces
      if first == "[", let end = text.firstIndex(of: "]") {
        section = String(text[text.index(after: text.startIndex)..<end]).trimmingSpaces
        sections[section] = sections[section] ?? [:]
      } else if !first.isWhitespace, let equals = text.firstIndex(of: "=") {
        let name = String(text[..<equals]).trimmingSpaces.lowercased()
        sections[section, default: [:]][name] = Self.value(String(text[text.index(after: equals)...]))
      }
    }
  }

  /// Without a comment, which begins with ` #` or ` ;`.
  private static func value(_ text: String) -> String {
    var end = text.endIndex
    for mark in [" #", " ;", "\t#", "\t;"] {
      if let found = text.firstRange(of: mark), found.lowerBound < end { end = found.lowerBound }
    }
    return String(text[..<end]).trimmingSpaces
  }
}

extension String {
  var trimmingSpaces: String {
    var text = self[...]
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }
}
