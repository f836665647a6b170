/// Keeps account of which times of the calendar are over: each run comes due once, however the wall clock moves.
///
/// A clock that is set back by less than three hours (a summer time handled wrongly, a repair) repeats nothing; one that is set
/// back by more was wrong before, and schedules start over from the new time. What a clock is set forward over has come
/// due, and is late. The three hours are Vixie cron's.
struct ScheduleBook: Sendable {
  static let repeatWindow: Int64 = 3 * 3_600_000
  /// A clock that is corrected by less is not worth a word.
  private static let notable: Int64 = 60000

  /// What the clock did.
  enum Step: Hashable {
    /// It was set back by milliseconds, and runs that were made are not repeated.
    case setBack(Int64)
    /// It was set back by so many that schedules start over.
    case startedOver(Int64)
  }

  private(set) var timetable: Timetable
  /// Up to this wall time every run is accounted for; nil until the agent has started.
  private(set) var accounted: Timestamp?
  /// The next run by the clock.
  private(set) var upcoming: Timestamp?
  /// Runs that have come due and were not decided on.
  private(set) var due: DueRuns?
  private var isBehind = false

  init(_ timetable: Timetable) {
    self.timetable = timetable
  }

  /// Begins to keep account after a time.
  mutating func begin(after time: Timestamp) {
    guard accounted == nil else { return }
    restart(at: time)
  }

  /// Notes what has come due.
  mutating func advance(to wall: Timestamp) -> Step? {
    guard let accounted else { return nil }
    let behind = accounted.milliseconds - wall.milliseconds
    if behind >= Self.repeatWindow {
      restart(at: wall)
      // By the new clock it is still to come.
      if let due, due.latest > wall { self.due = nil }
      return .startedOver(behind)
    }
    if behind > 0 {
      defer { isBehind = behind > Self.notable }
      return behind > Self.notable && !isBehind ? .setBack(behind) : nil
    }
    isBehind = false
    self.accounted = wall
    guard let first = upcoming, first <= wall else { return nil }
    let runs = timetable.runs(from: first, through: wall)
    due = due?.merged(with: runs) ?? runs
    upcoming = timetable.next(after: wall)
    return nil
  }

  /// Takes what has come due, to decide on it.
  mutating func takeDue() -> DueRuns? {
    defer { due = nil }
    return due
  }

  /// Another timetable, from now on; what had come due by the old one stays.
  mutating func change(to timetable: Timetable) {
    self.timetable = timetable
    if timetable.isEmpty { due = nil }
    upcoming = accounted.flatMap(timetable.next(after:))
  }

  private mutating func restart(at time: Timestamp) {
    accounted = time
    upcoming = timetable.next(after: time)
    isBehind = false
  }
}
