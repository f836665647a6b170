// The time of day.
extension CronWords {
  private var everyHour: Bool { pattern.hours.count == 24 }

  /// `at 02:00`, `every 15 minutes from 09:00 to 17:59`.
  var time: String {
    let minutes = pattern.minutes.members
    let hours = pattern.hours.members
    if let exact = exactTimes(hours, minutes) { return exact }
    if minutes.count == 1, let hourly = hourly(hours, at: minutes[0]) { return hourly }
    if let step = Self.cycle(minutes, of: 60) {
      let rhythm = step == 1 ? "every minute" : "every \(step) minutes"
      return everyHour ? rhythm : "\(rhythm) \(spans(hours))"
    }
    return "\(minuteList(minutes)) \(everyHour ? "of every hour" : "of each hour \(spans(hours))")"
  }

  /// Where all of them can be listed.
  private func exactTimes(_ hours: [Int], _ minutes: [Int]) -> String? {
    guard hours.count * minutes.count <= 6 else { return nil }
    return "at "
      + Self.list(hours.flatMap { hour in minutes.map { Self.clock(hour, $0) } })
  }

  /// Once in each of several hours.
  private func hourly(_ hours: [Int], at minute: Int) -> String? {
    let start = minute == 0 ? "" : " at minute \(minute)"
    guard !everyHour else { return "every hour" + start }
    guard let step = Self.step(hours) else {
      return "at " + Self.list(hours.map { Self.clock($0, minute) })
    }
    let rhythm = step == 1 ? "every hour" : "every \(step) hours"
    if hours[0] < step, 24 % step == 0, hours.count == 24 / step {
      return hours[0] == 0 && minute == 0 ? rhythm : "\(rhythm) from \(Self.clock(hours[0], minute))"
    }
    return "\(rhythm) from \(Self.clock(hours[0], minute)) to \(Self.clock(hours[hours.count - 1], minute))"
  }

  private func minuteList(_ minutes: [Int]) -> String {
    if minutes.count > 3, let step = Self.step(minutes) {
      return
        "every \(step == 1 ? "minute" : "\(step) minutes") from minute \(minutes[0]) to \(minutes[minutes.count - 1])"
    }
    return (minutes.count == 1 ? "at minute " : "at minutes ") + Self.list(minutes.map { "\($0)" })
  }

  /// `from 09:00 to 17:59`, `from 09:00 to 09:59 and from 12:00 to 12:59`.
  private func spans(_ hours: [Int]) -> String {
    Self.list(Self.runs(hours).map { "from \(Self.clock($0.lowerBound, 0)) to \(Self.clock($0.upperBound, 59))" })
  }

  static func clock(_ hour: Int, _ minute: Int) -> String { "\(hour.padded(2)):\(minute.padded(2))" }

  /// The step of numbers that go round evenly from 0; nil where they do not.
  static func cycle(_ numbers: [Int], of whole: Int) -> Int? {
    let step = whole / numbers.count
    return step * numbers.count == whole && numbers == Array(stride(from: 0, to: whole, by: step)) ? step : nil
  }

  /// The distance between neighbours among three numbers or more, where it is the same everywhere.
  static func step(_ numbers: [Int]) -> Int? {
    guard numbers.count > 2 else { return nil }
    let step = numbers[1] - numbers[0]
    return zip(numbers, numbers.dropFirst()).allSatisfy { $1 - $0 == step } ? step : nil
  }

  /// Neighbours put together.
  static func runs(_ numbers: [Int]) -> [ClosedRange<Int>] {
    numbers.reduce(into: []) { runs, number in
      if let last = runs.last, last.upperBound == number - 1 {
        runs[runs.count - 1] = last.lowerBound...number
      } else {
        runs.append(number...number)
      }
    }
  }
}
