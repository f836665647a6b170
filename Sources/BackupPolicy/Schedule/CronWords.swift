extension CronSchedule {
  /// The schedule in plain English: `at 02:00 every day`.
  package var words: String { CronWords(pattern: pattern).sentence }
}

/// Describes a pattern as text. Two patterns with different runs never get the same text.
struct CronWords {
  let pattern: CronPattern

  var sentence: String {
    guard pattern.hasDates else { return "never: no month named has such a day" }
    return [time, days].filter { !$0.isEmpty }.joined(separator: " ")
  }

  /// `a, b and c`.
  static func list(_ items: [String], _ last: String = "and") -> String {
    items.count < 2 ? items.joined() : items.dropLast().joined(separator: ", ") + " \(last) " + items[items.count - 1]
  }
}

// The days.
extension CronWords {
  private var anyDate: Bool { pattern.days.count == 31 }
  private var anyWeekday: Bool { pattern.weekdays.count == 7 }
  private var anyMonth: Bool { pattern.months.count == 12 }

  /// `every day`, `on weekdays`, `on the 1st of every month or on Mondays`.
  var days: String {
    switch (anyDate, anyWeekday) {
    case _ where pattern.eitherDay && (anyDate || anyWeekday): everyDay
    case (true, true): everyDay
    case (true, false): weekdaysAlone
    case (false, true): datesOfMonths
    case (false, false) where pattern.eitherDay: "\(datesOfMonths) or \(weekdaysAlone)"
    case (false, false): "\(datesOfMonths), if it is \(aWeekday)"
    }
  }

  /// Only with a time of day: a run that recurs all day long recurs every day anyway.
  private var everyDay: String {
    [time.contains(":") ? "every day" : "", anyMonth ? "" : inMonths].filter { !$0.isEmpty }.joined(separator: " ")
  }

  private var datesOfMonths: String { "on \(dates) of \(ofMonths)" }

  private var weekdaysAlone: String { "on \(weekdays)" + (anyMonth ? "" : " \(inMonths)") }

  /// The week begins on Monday, so that Saturday and Sunday are next to each other.
  private var weekdayNames: [String] {
    let names = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    return pattern.weekdays.members.sorted { ($0 + 6) % 7 < ($1 + 6) % 7 }.map { names[$0] }
  }

  private var workingWeek: Bool { pattern.weekdays == BitSet64(1...5) }

  private var weekdays: String { workingWeek ? "weekdays" : Self.list(weekdayNames.map { "\($0)s" }) }
  private var aWeekday: String { workingWeek ? "a weekday" : Self.list(weekdayNames.map { "a \($0)" }, "or") }

  /// `the 1st and the 15th`, `every 2nd day from the 1st to the 31st`.
  private var dates: String {
    let members = pattern.days.members
    if members.count > 3, let step = Self.step(members), step > 1 {
      return "every \(Self.ordinal(step)) day from the \(Self.ordinal(members[0])) to the "
        + Self.ordinal(members[members.count - 1])
    }
    return Self.list(
      Self.runs(members).flatMap { run in
        run.count < 3
          ? run.map { "the \(Self.ordinal($0))" }
          : ["the \(Self.ordinal(run.lowerBound)) to the \(Self.ordinal(run.upperBound))"]
      })
  }

  private var ofMonths: String {
    anyMonth ? "every month" : monthSpan.map { "every month \($0)" } ?? Self.list(monthNames)
  }

  private var inMonths: String { monthSpan ?? "in \(Self.list(monthNames))" }

  /// `from June to August`, for three or more that follow each other.
  private var monthSpan: String? {
    let names = monthNames
    let runs = Self.runs(pattern.months.members)
    return runs.count == 1 && names.count > 2 ? "from \(names[0]) to \(names[names.count - 1])" : nil
  }

  private var monthNames: [String] {
    let names = [
      "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
      "December",
    ]
    return pattern.months.members.map { names[$0 - 1] }
  }

  static func ordinal(_ number: Int) -> String {
    let suffix =
      switch (number % 10, number % 100) {
      case (_, 11...13): "th"
      case (1, _): "st"
      case (2, _): "nd"
      case (3, _): "rd"
      default: "th"
      }
    return "\(number)\(suffix)"
  }
}

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

  /// For schedules whose times can all be listed.
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

  /// The step of numbers that are evenly spaced around the whole from 0; nil if they are not.
  static func cycle(_ numbers: [Int], of whole: Int) -> Int? {
    let step = whole / numbers.count
    return step * numbers.count == whole && numbers == Array(stride(from: 0, to: whole, by: step)) ? step : nil
  }

  /// The distance between neighbours among three numbers or more; nil if the distances differ.
  static func step(_ numbers: [Int]) -> Int? {
    guard numbers.count > 2 else { return nil }
    let step = numbers[1] - numbers[0]
    return zip(numbers, numbers.dropFirst()).allSatisfy { $1 - $0 == step } ? step : nil
  }

  /// Combines neighbouring numbers into ranges.
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
