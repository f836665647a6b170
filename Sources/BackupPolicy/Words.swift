/// Numbers as text, for reasons and messages.
package enum Words {
  /// `500 ms`, `5 s`, `90 s`, `2 min`, `7 days`: the largest unit that gives a whole number.
  package static func duration(milliseconds: Int64) -> String {
    milliseconds % 1000 == 0 ? duration(seconds: milliseconds / 1000) : "\(milliseconds) ms"
  }

  static func duration(_ duration: Duration) -> String { Self.duration(milliseconds: duration.wholeMilliseconds) }

  static func duration(seconds: Int64) -> String {
    guard seconds != 0 else { return "0 s" }
    if seconds % 86400 == 0 { return seconds == 86400 ? "1 day" : "\(seconds / 86400) days" }
    if seconds % 3600 == 0 { return "\(seconds / 3600) h" }
    return seconds % 60 == 0 ? "\(seconds / 60) min" : "\(seconds) s"
  }
}

extension String {
  /// At most 60 characters of it, for messages.
  package var shortened: String { count > 60 ? "\(prefix(60))…" : self }

  /// At most this many bytes and an ellipsis. A cut text ends after a whole word, if its words are
  /// not very long.
  package func shortened(toBytes limit: Int) -> String {
    guard utf8.count > limit else { return self }
    let cut = String(decoding: utf8.prefix(limit), as: UTF8.self)
    // A character that was cut in the middle ends as a replacement character.
    let whole = cut.dropLast(cut.last == "\u{fffd}" ? 1 : 0)
    guard let space = whole.lastIndex(of: " "), whole.distance(from: space, to: whole.endIndex) < 40 else {
      return "\(whole)…"
    }
    return "\(whole[..<space])…"
  }
}

extension BinaryInteger {
  /// With a comma between groups of three digits: `1,234`.
  package var grouped: String {
    let digits = Array(String(magnitude))
    let groups = stride(from: digits.count % 3 - 3, to: digits.count, by: 3).map {
      String(digits[Swift.max(0, $0)..<Swift.max(0, $0 + 3)])
    }
    return (self < 0 ? "-" : "") + groups.filter { !$0.isEmpty }.joined(separator: ",")
  }
}

extension Duration {
  /// Milliseconds for people: `840 ms`, `12.4 s`, `3 min 20 s`.
  package static func words(_ milliseconds: Int64) -> String {
    if milliseconds < 1000 { return "\(milliseconds) ms" }
    if milliseconds < 100_000 { return "\(milliseconds / 1000).\(milliseconds / 100 % 10) s" }
    return "\(milliseconds / 60000) min \(milliseconds / 1000 % 60) s"
  }
}
