/// The wall times that five fields name.
struct CronPattern: Hashable, Sendable {
  var minutes: BitSet64
  var hours: BitSet64
  var days: BitSet64
  var months: BitSet64
  /// 0 = Sunday … 6.
  var weekdays: BitSet64
  /// The fields that begin with `*`, whatever follows.
  var starred: Set<CronField>

  init(_ fields: [CronField: (values: BitSet64, starred: Bool)]) {
    func values(_ field: CronField) -> BitSet64 { fields[field]?.values ?? BitSet64(field.values) }
    minutes = values(.minute)
    hours = values(.hour)
    days = values(.dayOfMonth)
    months = values(.month)
    weekdays = values(.dayOfWeek)
    starred = Set(CronField.allCases.filter { fields[$0]?.starred ?? true })
  }

  /// Whether a day need only be named by one of the two fields of days: so where neither of them begins with `*`.
  var eitherDay: Bool { starred.isDisjoint(with: [.dayOfMonth, .dayOfWeek]) }

  /// Whether there is a day, in any year, that fits. Within 400 years each date falls on each weekday.
  var hasDates: Bool {
    eitherDay
      || months.members.contains { days.first(from: 1) ?? 32 <= CalendarMonth(year: 2000, month: $0).length }
  }
}

// Wall times, as `ZoneRules` has them.
extension CronPattern {
  /// The first wall time, at the beginning of a minute, that fits and is not before `wall`; nil where none is before the
  /// year 10000.
  func firstMatch(notBefore wall: Timestamp) -> Timestamp? {
    guard hasDates, wall < Timestamp.writable.upperBound else { return nil }
    let minute = max(wall, Timestamp.writable.lowerBound).adding(milliseconds: 59_999).civil
    var month = CalendarMonth(year: minute.year, month: minute.month)
    if months.contains(month.month), fittingDays(in: month).contains(minute.day),
      let time = firstTime(hour: minute.hour, minute: minute.minute)
    {
      return month.midnight(of: minute.day).adding(seconds: time)
    }
    var day = minute.day + 1
    while month.year < 10000 {
      if months.contains(month.month), let found = fittingDays(in: month).first(from: day) {
        return firstTime(hour: 0, minute: 0).map { month.midnight(of: found).adding(seconds: $0) }
      }
      month = month.next
      day = 1
    }
    return nil
  }

  /// Seconds after midnight of the first time of day that fits and is not before `hour`:`minute`.
  private func firstTime(hour: Int, minute: Int) -> Int64? {
    if hours.contains(hour), let minute = minutes.first(from: minute) { return Int64(hour * 3600 + minute * 60) }
    guard let hour = hours.first(from: hour + 1), let minute = minutes.first(from: 0) else { return nil }
    return Int64(hour * 3600 + minute * 60)
  }

  /// The days of a month that fit, whether or not the month itself does.
  func fittingDays(in month: CalendarMonth) -> BitSet64 {
    let all = 1...month.length
    let first = month.firstWeekday
    let byDate = days.intersection(BitSet64(all))
    let byWeekday = BitSet64(all.filter { weekdays.contains((first + $0 - 1) % 7) })
    return eitherDay ? byDate.union(byWeekday) : byDate.intersection(byWeekday)
  }
}

extension Timestamp {
  func adding(milliseconds count: Int64) -> Timestamp {
    Timestamp(milliseconds: milliseconds.addingClamped(count))
  }
}
