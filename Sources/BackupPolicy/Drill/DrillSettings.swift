/// When drills run by themselves, and when the last one no longer counts.
package struct DrillSettings: Hashable, Sendable {
  /// The times; if times coincide, they are one drill. Empty: never.
  package var schedules: [CronSchedule]
  /// The zone of ``schedules``.
  package var zone: ZoneRules
  /// Makes up, once, for missed drills.
  package var catchUp: Bool
  /// Seconds after which a drill that passed no longer counts; 0: it always counts; nil:
  /// ``standardAge(at:)``.
  package var maxAge: Int64?

  package init(
    schedules: [CronSchedule] = [], zone: ZoneRules = .utc, catchUp: Bool = true, maxAge: Int64? = nil
  ) {
    self.schedules = schedules
    self.zone = zone
    self.catchUp = catchUp
    self.maxAge = maxAge
  }

  /// Whether drills run, or warnings appear, without a request.
  package var isActive: Bool { !schedules.isEmpty || maxAge ?? 0 > 0 }

  var timetable: Timetable { Timetable(schedules: schedules, zone: zone) }

  /// Seconds after which a drill no longer counts; nil if there is no limit.
  package func age(at time: Timestamp) -> Int64? { maxAge == 0 ? nil : maxAge ?? standardAge(at: time) }

  /// Twice the longest pause between the next runs, so that one run may fail before an alert; at
  /// least a day, and nil without a schedule.
  func standardAge(at time: Timestamp) -> Int64? {
    var runs: [Timestamp] = []
    while runs.count < Self.sample, let next = timetable.next(after: runs.last ?? time) { runs.append(next) }
    let pauses = zip(runs, runs.dropFirst()).map { ($1.milliseconds - $0.milliseconds) / 1000 }
    return pauses.max().map { max(86400, $0.multipliedClamped(by: 2)) }
  }

  /// Enough to include the longest pause of any schedule by hours, days of the week or months.
  private static let sample = 26
}

/// A query about the database's content and its known answer, checked on a restored copy.
package struct DrillAssertion: Hashable, Sendable {
  /// Its name; nil if it was not given one.
  package var name: String?
  /// One statement that reads.
  package var sql: String
  /// The answer, as `sqlite3` prints it in its list mode: columns with `|` between them, a line for
  /// each row, an empty text for NULL.
  package var expect: String

  package init(name: String? = nil, sql: String, expect: String) {
    self.name = name
    self.sql = sql
    self.expect = expect
  }

  /// The name in messages and in the history; the history is readable without a key, so it must not
  /// quote the query.
  ///
  /// - Parameter number: its place among the assertions, from 1.
  package func label(_ number: Int) -> String { name ?? "assertion \(number)" }

  /// Whether an answer is the expected one. Ignores white space at both ends, because a person
  /// wrote the expected one into a file.
  package func isMet(by answer: String) -> Bool {
    Self.trimmed(answer).utf8.elementsEqual(Self.trimmed(expect).utf8)
  }

  private static func trimmed(_ text: String) -> Substring {
    let text = text.drop { $0.isWhitespace }
    guard let last = text.lastIndex(where: { !$0.isWhitespace }) else { return "" }
    return text[...last]
  }
}
