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
}
