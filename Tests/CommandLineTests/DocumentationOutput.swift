/// Compares output that a page shows with output that the program printed.
struct DocumentationOutput {
  typealias Pair = (shown: String, actual: String)

  /// The parts of the output that differ from run to run, and the words that replace them before a comparison.
  private let masks: [(pattern: Regex<Substring>, word: String)] = [
    (#/backup_\d{8}_\d{6}(?:_\d{3})?/#, "ID"),
    (#/\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: UTC| ?[+-]\d\d:\d\d|Z)?/#, "TIME"),
    (#/\b\d\d:\d\d:\d\d(?: [+-]\d\d:\d\d)?/#, "TIME"),
    (#/[\d.,]+ (?:B|KiB|MiB|GiB)\b/#, "SIZE"),
    (#/\d+(?:\.\d+)?%/#, "PERCENT"),
    (#/\b[\d.]+ (?:ms|s)\b/#, "DURATION"),
    (#/\b[0-9a-f]{16,64}\b/#, "HEX"),
    (#/SQLite \d+\.\d+\.\d+/#, "SQLite VERSION"),
    (#/^ +Host  .*/#, "  Host"),
    // The width of a column depends on its values.
    (#/[-=]{3,}/#, "---"),
    (#/ {2,}/#, "  "),
  ]
  private let id = #/backup_\d{8}_\d{6}(?:_\d{3})?/#

  func masked(_ line: String) -> String {
    let masked = masks.reduce(line) { $0.replacing($1.pattern, with: $1.word) }
    return masked.lastIndex { $0 != " " }.map { String(masked[...$0]) } ?? ""
  }

  /// Pairs the lines of the page with the lines of the output; nil if they differ.
  ///
  /// A line `…` of the page matches any number of lines.
  func pairs(_ shown: [String], _ actual: [String]) -> [Pair]? {
    match(shown.map { ($0, masked($0)) }[...], actual.map { ($0, masked($0)) }[...])
  }

  private typealias Line = (text: String, masked: String)

  private func match(_ shown: ArraySlice<Line>, _ actual: ArraySlice<Line>) -> [Pair]? {
    guard let first = shown.first else { return actual.isEmpty ? [] : nil }
    if first.masked == "…" {
      for start in actual.startIndex...actual.endIndex {
        if let rest = match(shown.dropFirst(), actual[start...]) { return rest }
      }
      return nil
    }
    guard let line = actual.first, first.masked == line.masked,
      let rest = match(shown.dropFirst(), actual.dropFirst())
    else { return nil }
    return [(first.text, line.text)] + rest
  }

  /// The IDs of a line of the page, with the IDs that the program printed in their places.
  func ids(_ pair: Pair) -> [Pair] {
    let shown = pair.shown.matches(of: id).map { String($0.output) }
    let actual = pair.actual.matches(of: id).map { String($0.output) }
    return shown.count == actual.count ? zip(shown, actual).map { ($0, $1) } : []
  }

  /// A text with each ID replaced by another one, if there is another.
  func replacingIDs(in text: String, by ids: [String: String]) -> String {
    text.replacing(id) { ids[String($0.output)] ?? String($0.output) }
  }
}
