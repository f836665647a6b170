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

    var behind: Int64 {
      switch self {
      case .setBack(let milliseconds), .startedOver(let milliseconds): milliseconds
      }
    }
  }

  private(set) var timetable: Timetable
  /// The latest wall time there was; nil until the agent has started.
  private(set) var latest: Timestamp?
  /// The next run by the clock.
  private(set) var upcoming: Timestamp?
  /// Runs that have come due and were not decided on.
  private(set) var due: DueRuns?
  private var last: Moment?
  private var isBehind = false

  init(_ timetable: Timetable) {
    self.timetable = timetable
  }

  /// Begins to keep account after a time.
  mutating func begin(after time: Timestamp) {
    guard latest == nil else { return }
    restart(at: time)
  }

  /// Notes what has come due.
  mutating func advance(to now: Moment) -> Step? {
    guard let latest = latestTime(before: now) else { return nil }
    self.latest = max(latest, now.wall)
    last = now
    if let first = upcoming, first <= now.wall {
      let runs = timetable.runs(from: first, through: now.wall)
      due = due?.merged(with: runs) ?? runs
      upcoming = timetable.next(after: now.wall)
    }
    return step(back: latest.milliseconds - now.wall.milliseconds, to: now.wall)
  }

  /// The latest time there was until the clock was read just now, by what the other clock counted meanwhile.
  private func latestTime(before now: Moment) -> Timestamp? {
    guard let latest, let last else { return latest }
    let (elapsed, overflow) = now.monotonic.subtractingReportingOverflow(last.monotonic)
    let expected = last.wall.milliseconds.addingClamped(overflow ? .max : elapsed)
    return max(latest, Timestamp(milliseconds: expected).writable)
  }

  private mutating func step(back: Int64, to wall: Timestamp) -> Step? {
    if back >= Self.repeatWindow {
      restart(at: wall)
      // By the new clock it is still to come.
      if let due, due.latest > wall { self.due = nil }
      return .startedOver(back)
    }
    defer { isBehind = back > Self.notable }
    return back > Self.notable && !isBehind ? .setBack(back) : nil
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
    upcoming = latest.flatMap(timetable.next(after:))
  }

  private mutating func restart(at time: Timestamp) {
    latest = time
    upcoming = timetable.next(after: time)
    isBehind = false
  }
}

/// Several schedules in one zone as one list of times; times that coincide are one run.
struct Timetable: Hashable, Sendable {
  /// How far runs are counted; a laptop that slept for a year has missed "more than 100".
  static let countLimit = 100

  let schedules: [CronSchedule]
  let zone: ZoneRules

  var isEmpty: Bool { schedules.isEmpty }

  /// The first run after a time.
  func next(after time: Timestamp) -> Timestamp? {
    schedules.lazy.compactMap { $0.next(after: time, in: zone) }.min()
  }

  /// The runs in `first...end`, where `first` is one.
  func runs(from first: Timestamp, through end: Timestamp) -> DueRuns {
    var (count, latest) = (1, first)
    while let next = next(after: latest), next <= end {
      count += 1
      latest = next
      if count > Self.countLimit { return DueRuns(latest: last(from: latest, through: end), count: count) }
    }
    return DueRuns(latest: latest, count: count)
  }

  /// The latest run in `first...end`. Bisection: there is a run between a time and the end until the latest is passed.
  private func last(from first: Timestamp, through end: Timestamp) -> Timestamp {
    var (before, after) = (first.milliseconds, end.milliseconds)
    var latest = first
    while before + 1 < after {
      let middle = before + (after - before) / 2
      if let next = next(after: Timestamp(milliseconds: middle)), next <= end {
        (before, latest) = (middle, next)
      } else {
        after = middle
      }
    }
    return latest
  }
}

/// Runs that came due by the clock.
struct DueRuns: Hashable, Sendable {
  var latest: Timestamp
  /// How many, with the latest; beyond ``Timetable/countLimit`` it is not exact.
  var count: Int

  /// These and later ones.
  func merged(with later: DueRuns) -> DueRuns {
    DueRuns(latest: later.latest, count: count + later.count)
  }
}

extension Words {
  /// A wall time for a person in that zone: `02:00`, and on another day than `now` with its date.
  static func time(_ time: Timestamp, in zone: ZoneRules, seenFrom now: Timestamp) -> String {
    let local = zone.local(time)
    let today = zone.local(now)
    let clock = "\(local.hour.padded(2)):\(local.minute.padded(2))"
    if (local.year, local.month, local.day) == (today.year, today.month, today.day) { return clock }
    return "\(local.year.padded(4))-\(local.month.padded(2))-\(local.day.padded(2)) \(clock)"
  }

  /// `1 run`, `3 runs`, `more than 100 runs`.
  static func runs(_ count: Int) -> String {
    if count > Timetable.countLimit { return "more than \(Timetable.countLimit) runs" }
    return count == 1 ? "1 run" : "\(count) runs"
  }

  /// A duration in whole minutes.
  static func minutes(milliseconds: Int64) -> String {
    duration(seconds: max(1, milliseconds / 60000) * 60)
  }
}
