// The days.
extension CronWords {
  private var anyDate: Bool { pattern.days.count == 31 }
  private var anyWeekday: Bool { pattern.weekdays.count == 7 }
  private var anyMonth: Bool { pattern.months.count == 12 }

  /// `every day`, `on weekdays`, `on the 1st of every month or on Mondays`.
  var days: String {
    if pattern.eitherDay, anyDate || anyWeekday { return everyDay }
    switch (anyDate, anyWeekday) {
    case (true, true): return everyDay
    case (true, false): return weekdaysAlone
    case (false, true): return "on \(dates) of \(months)"
    case (false, false) where pattern.eitherDay:
      return "on \(dates) of \(months) or \(weekdaysAlone)"
    case (false, false): return "\(weekdays), if it is \(dates) of \(months)"
    }
  }

  /// Left out behind what recurs by itself: `every 15 minutes`.
  private var everyDay: String {
    guard anyMonth else { return "every day \(inMonths)" }
    return pattern.hours.count == 24 ? "" : "every day"
  }

  private var weekdaysAlone: String { anyMonth ? weekdays : "\(weekdays) \(inMonths)" }

  private var weekdays: String {
    let members = pattern.weekdays.members
    if members == [1, 2, 3, 4, 5] { return "on weekdays" }
    let names = ["Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays"]
    // The week begins on Monday, so that Saturdays and Sundays stand together.
    return "on " + Self.list(members.sorted { ($0 + 6) % 7 < ($1 + 6) % 7 }.map { names[$0] })
  }

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
      }, pattern.eitherDay ? "and" : "or")
  }

  private var months: String { anyMonth ? "every month" : monthNames }
  private var inMonths: String { "in \(monthNames)" }

  private var monthNames: String {
    let names = [
      "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
      "December",
    ]
    return Self.list(
      Self.runs(pattern.months.members).flatMap { run in
        run.count < 3 ? run.map { names[$0 - 1] } : ["\(names[run.lowerBound - 1]) to \(names[run.upperBound - 1])"]
      })
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
