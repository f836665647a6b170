/// When drills are made without being asked for, and when the last one counts no more.
package struct DrillSettings: Hashable, Sendable {
  /// When; times that coincide are one drill. Empty: never.
  package var schedules: [CronSchedule]
  /// The zone of ``schedules``.
  package var zone: ZoneRules
  /// Makes up, once, for drills that were missed.
  package var catchUp: Bool
  /// Seconds after which a drill that passed counts no more; 0: it always counts; nil: ``standardAge(at:)``.
  package var maxAge: Int64?

  package init(
    schedules: [CronSchedule] = [], zone: ZoneRules = .utc, catchUp: Bool = true, maxAge: Int64? = nil
  ) {
    self.schedules = schedules
    self.zone = zone
    self.catchUp = catchUp
    self.maxAge = maxAge
  }

  /// Whether anything is to be done, or to be told, without being asked for.
  package var isActive: Bool { !schedules.isEmpty || maxAge ?? 0 > 0 }

  var timetable: Timetable { Timetable(schedules: schedules, zone: zone) }

  /// Seconds after which a drill counts no more; nil where nothing says so.
  package func age(at time: Timestamp) -> Int64? { maxAge == 0 ? nil : maxAge ?? standardAge(at: time) }

  /// Twice the longest pause between the next runs, so that one run may fail before anybody is woken; at least a day, and nil
  /// without a schedule.
  func standardAge(at time: Timestamp) -> Int64? {
    var runs: [Timestamp] = []
    while runs.count < Self.sample, let next = timetable.next(after: runs.last ?? time) { runs.append(next) }
    let pauses = zip(runs, runs.dropFirst()).map { ($1.milliseconds - $0.milliseconds) / 1000 }
    return pauses.max().map { max(86400, $0.multipliedClamped(by: 2)) }
  }

  /// Enough to meet the longest pause of any schedule that goes by hours, days of the week or months.
  private static let sample = 26
}
