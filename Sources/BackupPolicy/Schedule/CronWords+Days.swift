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

  /// Only where a time of day is named: what recurs all day long recurs every day.
  private var everyDay: String {
    [time.contains(":") ? "every day" : "", anyMonth ? "" : inMonths].filter { !$0.isEmpty }.joined(separator: " ")
  }

  private var datesOfMonths: String { "on \(dates) of \(ofMonths)" }

  private var weekdaysAlone: String { "on \(weekdays)" + (anyMonth ? "" : " \(inMonths)") }

  /// The week begins on Monday, so that Saturdays and Sundays stand together.
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
