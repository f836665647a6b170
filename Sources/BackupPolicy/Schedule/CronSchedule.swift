/// The times at which something runs, in the five fields of cron: minute, hour, day of month,
/// month, weekday.
///
/// The language is Vixie cron's: lists (`1,15`), ranges (`9-17`), steps (`*/15`, `5-50/5`; `10/5`
/// is short for `10-59/5`), the three-letter English names of months and weekdays in any case, 0
/// and 7 for Sunday, and `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`,
/// `@hourly`. If neither the day of month nor the weekday begins with `*`, a day matches if either
/// of them matches; else both must (so `*/2` and `Mon` means: Mondays with an odd date).
///
/// *When the clocks change.* A schedule whose minute and hour both do not begin with `*` names
/// times of day:
/// - a time that the clocks skip runs once, at the first instant after the gap, together with all
///   others in it;
/// - a time that the clocks show twice runs once, the first time.
///
/// Any other schedule follows real time: it runs whenever the local clock shows a matching time. If
/// the clocks show the time twice, it runs twice; if they skip it, it is not made up.
package struct CronSchedule: Hashable, Sendable {
  /// As it was written.
  package let text: String
  let pattern: CronPattern

  /// - Throws: `HoldfastError` with `usage`, whose message has the column and whose cause is a ``CronSyntaxError``.
  package init(_ text: String) throws {
    self.text = text
    do {
      pattern = try CronParser.pattern(text)
    } catch let error as CronSyntaxError {
      throw error.explained(in: text)
    }
  }

  /// The first run strictly after `time`; nil if there is no run before the year 10000 (30
  /// February).
  package func next(after time: Timestamp, in zone: ZoneRules) -> Timestamp? {
    namesTimesOfDay ? nextByTheWall(after: time, zone) : nextByRealTime(after: time, zone)
  }

  /// Whether a clock change neither drops nor repeats a run.
  package var namesTimesOfDay: Bool { pattern.starred.isDisjoint(with: [.minute, .hour]) }

  /// The first instants of local times never go back, so the search can start at the present local
  /// time.
  private func nextByTheWall(after time: Timestamp, _ zone: ZoneRules) -> Timestamp? {
    var wall = zone.wall(time)
    while let match = pattern.firstMatch(notBefore: wall) {
      let instant = zone.firstInstant(ofWall: match)
      if instant > time { return instant }
      wall = match.adding(seconds: 60)
    }
    return nil
  }

  /// From one clock change to the next, the local clock runs evenly.
  private func nextByRealTime(after time: Timestamp, _ zone: ZoneRules) -> Timestamp? {
    var time = time.adding(milliseconds: 1)
    while let match = pattern.firstMatch(notBefore: zone.wall(time)) {
      let instant = match.adding(seconds: -Int64(zone.offset(at: time)))
      guard let change = zone.nextChange(after: time), change.instant <= instant else { return instant }
      time = change.instant
    }
    return nil
  }
}

extension CronSchedule {
  /// The effect of a clock change on a run; nil if there is no effect.
  ///
  /// - Parameters:
  ///   - run: a result of ``next(after:in:)``.
  ///   - previous: the argument of that call.
  package func note(on run: Timestamp, after previous: Timestamp, in zone: ZoneRules) -> String? {
    skipped(before: run, after: previous, in: zone) ?? repeated(run, in: zone)
  }

  private func skipped(before run: Timestamp, after previous: Timestamp, in zone: ZoneRules) -> String? {
    var time = previous
    while let change = zone.nextChange(after: time), change.instant <= run {
      time = change.instant
      let gap = change.instant.adding(seconds: Int64(change.before))
      let end = change.instant.adding(seconds: Int64(change.after))
      guard gap < end, let missed = pattern.firstMatch(notBefore: gap), missed < end else { continue }
      let clocks = Self.jump(from: gap, to: end)
      if !namesTimesOfDay { return "\(clocks) before it, and the runs in between are skipped" }
      if run == change.instant { return "\(clocks): \(ZoneRules.utc.clock(missed)) is skipped and runs now" }
    }
    return nil
  }

  /// Local times; with their dates if a day is skipped.
  private static func jump(from gap: Timestamp, to end: Timestamp) -> String {
    let utc = ZoneRules.utc
    if gap.civil.day == end.civil.day { return "the clocks change from \(utc.clock(gap)) to \(utc.clock(end))" }
    return "the clocks change from \(utc.date(gap)) \(utc.clock(gap)) to \(utc.date(end)) \(utc.clock(end))"
  }

  private func repeated(_ run: Timestamp, in zone: ZoneRules) -> String? {
    let instants = zone.instants(ofWall: zone.wall(run))
    guard instants.count > 1, let index = instants.firstIndex(of: run) else { return nil }
    let time = zone.clock(run)
    if namesTimesOfDay { return "\(time) occurs twice; it runs the first time" }
    return index == 0 ? "\(time) occurs twice: the first" : "\(time) occurs twice: the second"
  }
}

/// The local times that five fields name.
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

  /// Whether one of the two day fields is enough to match a day: if neither of them begins with
  /// `*`.
  var eitherDay: Bool { starred.isDisjoint(with: [.dayOfMonth, .dayOfWeek]) }

  /// Whether there is a matching day in any year. Within 400 years each date falls on each weekday.
  var hasDates: Bool {
    eitherDay
      || months.members.contains { days.first(from: 1) ?? 32 <= CalendarMonth(year: 2000, month: $0).length }
  }
}

// Local times, as in `ZoneRules`.
extension CronPattern {
  /// The first matching local time, at the beginning of a minute, that is not before `wall`; nil if
  /// there is no match before the year 10000.
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

  /// Seconds after midnight of the first matching time of day that is not before `hour`:`minute`.
  private func firstTime(hour: Int, minute: Int) -> Int64? {
    if hours.contains(hour), let minute = minutes.first(from: minute) { return Int64(hour * 3600 + minute * 60) }
    guard let hour = hours.first(from: hour + 1), let minute = minutes.first(from: 0) else { return nil }
    return Int64(hour * 3600 + minute * 60)
  }

  /// The matching days of a month, whether or not the month itself matches.
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

/// One of the five fields, with its values and their names.
enum CronField: Int, CaseIterable {
  case minute
  case hour
  case dayOfMonth
  case month
  case dayOfWeek

  /// `minute`, `day of month`, for messages.
  var name: String {
    switch self {
    case .minute: "minute"
    case .hour: "hour"
    case .dayOfMonth: "day of month"
    case .month: "month"
    case .dayOfWeek: "weekday"
    }
  }

  /// `a` or `an`, as its name needs it.
  var article: String { self == .hour ? "an" : "a" }

  /// The values with different meanings; 7 is another form of Sunday.
  var values: ClosedRange<Int> {
    switch self {
    case .minute: 0...59
    case .hour: 0...23
    case .dayOfMonth: 1...31
    case .month: 1...12
    case .dayOfWeek: 0...6
    }
  }

  /// The values that may be written.
  var writable: ClosedRange<Int> { self == .dayOfWeek ? 0...7 : values }

  /// Three letters each, from the lowest value on.
  var names: [String] {
    switch self {
    case .month: ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    case .dayOfWeek: ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    default: []
    }
  }

  /// The value of a name, in any case.
  func value(named name: String) -> Int? {
    names.firstIndex { $0.lowercased() == name.lowercased() }.map { $0 + values.lowerBound }
  }

  /// `0-7 or Sun-Sat, where 0 and 7 are Sunday`: the permitted values.
  var allowed: String {
    switch self {
    case .minute: "minutes are 0-59"
    case .hour: "hours are 0-23"
    case .dayOfMonth: "days of the month are 1-31"
    case .month: "months are 1-12 or Jan-Dec"
    case .dayOfWeek: "weekdays are 0-7 (0 and 7 are Sunday) or Sun-Sat"
    }
  }
}

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

/// Small numbers, 0…63, as the bits of a word.
struct BitSet64: Hashable, Sendable {
  var bits: UInt64 = 0

  init() {}

  init(_ values: some Sequence<Int>) {
    for value in values { insert(value) }
  }

  mutating func insert(_ value: Int) { bits |= 1 << UInt64(value) }
  func contains(_ value: Int) -> Bool { bits & (1 << UInt64(value)) != 0 }

  /// The lowest member that is at least `value`.
  func first(from value: Int) -> Int? {
    let rest = value < 64 ? bits >> UInt64(value) : 0
    return rest == 0 ? nil : value + rest.trailingZeroBitCount
  }

  var isEmpty: Bool { bits == 0 }
  var count: Int { bits.nonzeroBitCount }
  var members: [Int] { (0..<64).filter(contains) }

  func union(_ other: BitSet64) -> BitSet64 { BitSet64(bits: bits | other.bits) }
  func intersection(_ other: BitSet64) -> BitSet64 { BitSet64(bits: bits & other.bits) }

  private init(bits: UInt64) { self.bits = bits }
}
