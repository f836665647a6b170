import ArgumentParser

/// A time as people write it: `250ms`, `5s`, `2min`, `1h`.
struct TimeSpan: ExpressibleByArgument, Hashable {
  let milliseconds: Int64

  /// Nil for anything but a whole number and a unit, and for more than 10,000 hours; `0` needs no unit.
  init?(argument: String) {
    let digits = argument.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int64(digits), number <= 36_000_000_000 else { return nil }
    let unit: Int64
    switch argument.dropFirst(digits.count) {
    case "ms": unit = 1
    case "s": unit = 1000
    case "m", "min": unit = 60_000
    case "h": unit = 3_600_000
    case "" where number == 0: unit = 1
    default: return nil
    }
    guard number <= 36_000_000_000 / unit else { return nil }
    milliseconds = number * unit
  }
}
