/// A time as people write it: `250ms`, `5s`, `2min`, `1h`, `30d`.
struct TimeSpan: Hashable {
  let milliseconds: Int64

  /// Nil for anything but a whole number and a unit, and for more than 10,000 hours; `0` needs no
  /// unit.
  init?(argument: String) {
    let digits = argument.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int64(digits), number <= Self.longest else { return nil }
    let unit: Int64
    switch argument.dropFirst(digits.count) {
    case "ms": unit = 1
    case "s": unit = 1000
    case "m", "min": unit = 60_000
    case "h": unit = 3_600_000
    case "d": unit = 86_400_000
    case "" where number == 0: unit = 1
    default: return nil
    }
    guard number <= Self.longest / unit else { return nil }
    milliseconds = number * unit
  }

  private static let longest: Int64 = 36_000_000_000

  /// The spelling of `1.5 sec` or `2 Minutes` that ``init(argument:)`` reads; nil if the meaning is
  /// not clear.
  static func meant(by text: String) -> String? {
    let text = text.lowercased().filter { !$0.isWhitespace }
    let figure = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard let number = Double(figure), let unit = units[String(text.dropFirst(figure.count))] else { return nil }
    let milliseconds = number * Double(unit)
    guard milliseconds <= Double(longest), milliseconds.rounded() == milliseconds else { return nil }
    return spelt(Int64(milliseconds))
  }

  /// The shortest way to write it.
  static func spelt(_ milliseconds: Int64) -> String {
    if milliseconds % 3_600_000 == 0, milliseconds > 0 { return "\(milliseconds / 3_600_000)h" }
    if milliseconds % 60_000 == 0, milliseconds > 0 { return "\(milliseconds / 60_000)min" }
    return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
  }

  private static let units: [String: Int64] = {
    let spellings: [(Int64, String)] = [
      (1, "ms msec msecs millis millisecond milliseconds"), (1000, "s sec secs second seconds"),
      (60_000, "m min mins minute minutes"), (3_600_000, "h hr hrs hour hours"), (86_400_000, "d day days"),
    ]
    return Dictionary(
      uniqueKeysWithValues: spellings.flatMap { unit, words in words.split(separator: " ").map { (String($0), unit) } })
  }()
}
