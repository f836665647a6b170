/// A month of a year in the Gregorian calendar.
struct CalendarMonth: Hashable {
  var year: Int
  /// 1…12.
  var month: Int

  /// 28…31.
  var length: Int {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
    return month == 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
  }

  /// Days from 1970-01-01 to the first of the month (days_from_civil, see ``Timestamp/init(_:)``).
  var firstDay: Int64 {
    let years = month <= 2 ? year - 1 : year
    let era = years.flooredQuotient(by: 400)
    let yearOfEra = years - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5
    return Int64(era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468)
  }

  /// The weekday of the first, 0 = Sunday. 1970-01-01 was a Thursday.
  var firstWeekday: Int {
    let days = Int(firstDay) + 4
    return days - days.flooredQuotient(by: 7) * 7
  }

  var next: CalendarMonth {
    month == 12 ? CalendarMonth(year: year + 1, month: 1) : CalendarMonth(year: year, month: month + 1)
  }

  /// Midnight of a day, as if the calendar's zone were UTC.
  func midnight(of day: Int) -> Timestamp {
    Timestamp(milliseconds: (firstDay + Int64(day) - 1) * 86_400_000)
  }
}
