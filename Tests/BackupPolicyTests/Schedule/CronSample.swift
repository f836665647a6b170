import TestSupport

/// Random schedules of five fields, all of them valid.
enum CronSample {
  /// Any fields; each is `*` half of the time.
  static func any(_ random: inout SeededGenerator) -> String {
    [
      field(0...59, [], &random), field(0...23, [], &random), field(1...31, [], &random),
      field(1...12, months, &random),
      field(0...6, weekdays, &random),
    ].joined(separator: " ")
  }

  /// Any times of day, on most days: schedules that meet a change of the clocks.
  static func ofEveryDay(_ random: inout SeededGenerator) -> String {
    let weekday = Int.random(in: 0..<4, using: &random) == 0 ? field(0...6, weekdays, &random) : "*"
    return "\(field(0...59, [], &random)) \(field(0...23, [], &random)) * * \(weekday)"
  }

  private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
  private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]

  private static func field(_ range: ClosedRange<Int>, _ names: [String], _ random: inout SeededGenerator) -> String {
    switch Int.random(in: 0..<10, using: &random) {
    case 0..<4: return "*"
    case 4: return "*/\(Int.random(in: 1...range.count, using: &random))"
    default:
      let items = Int.random(in: 0..<3, using: &random) == 0 ? Int.random(in: 2...4, using: &random) : 1
      return (0..<items).map { _ in item(range, names, &random) }.joined(separator: ",")
    }
  }

  private static func item(_ range: ClosedRange<Int>, _ names: [String], _ random: inout SeededGenerator) -> String {
    let ends = [Int.random(in: range, using: &random), Int.random(in: range, using: &random)].sorted()
    let named = !names.isEmpty && Bool.random(using: &random)
    func word(_ value: Int) -> String { named ? names[value - range.lowerBound] : "\(value)" }
    let step = Int.random(in: 1...max(2, range.count / 3), using: &random)
    switch Int.random(in: 0..<6, using: &random) {
    case 0, 1: return word(ends[0])
    case 2, 3: return "\(word(ends[0]))-\(word(ends[1]))"
    case 4: return "\(word(ends[0]))-\(word(ends[1]))/\(step)"
    default: return "\(word(ends[0]))/\(step)"
    }
  }
}
