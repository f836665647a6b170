/// Tracks which times of the calendar are over: each run is due once, however the wall clock moves.
///
/// If a clock is set back by less than three hours (a summer time handled wrongly, a repair), no
/// run is repeated. If it is set back by more, it was wrong before, and schedules start over from
/// the new time. If a clock is set forward, the runs in between are due, and late. The three hours
/// are Vixie cron's.
struct ScheduleBook: Sendable {
  static let repeatWindow: Int64 = 3 * 3_600_000
  /// Smaller corrections of the clock are not reported.
  private static let notable: Int64 = 60000

  /// A change of the clock.
  enum Step: Hashable {
    /// It was set back by this many milliseconds, and completed runs are not repeated.
    case setBack(Int64)
    /// It was set back by so many milliseconds that schedules start over.
    case startedOver(Int64)

    var behind: Int64 {
      switch self {
      case .setBack(let milliseconds), .startedOver(let milliseconds): milliseconds
      }
    }
  }

  private(set) var timetable: Timetable
  /// The latest wall time so far; nil until the agent has started.
  private(set) var latest: Timestamp?
  /// The next run by the clock.
  private(set) var upcoming: Timestamp?
  /// Due runs without a decision so far.
  private(set) var due: DueRuns?
  private var last: Moment?
  private var isBehind = false

  init(_ timetable: Timetable) {
    self.timetable = timetable
  }

  /// Begins to track runs after a time.
  mutating func begin(after time: Timestamp) {
    guard latest == nil else { return }
    restart(at: time)
  }

  /// Records the runs that are due.
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

  /// The latest wall time before this reading of the clock, extrapolated by the other clock.
  private func latestTime(before now: Moment) -> Timestamp? {
    guard let latest, let last else { return latest }
    let (elapsed, overflow) = now.monotonic.subtractingReportingOverflow(last.monotonic)
    let expected = last.wall.milliseconds.addingClamped(overflow ? .max : elapsed)
    return max(latest, Timestamp(milliseconds: expected).writable)
  }

  private mutating func step(back: Int64, to wall: Timestamp) -> Step? {
    if back >= Self.repeatWindow {
      restart(at: wall)
      // By the new clock it is in the future.
      if let due, due.latest > wall { self.due = nil }
      return .startedOver(back)
    }
    defer { isBehind = back > Self.notable }
    return back > Self.notable && !isBehind ? .setBack(back) : nil
  }

  /// Returns the due runs and forgets them, so that the caller can decide on them.
  mutating func removeDue() -> DueRuns? {
    defer { due = nil }
    return due
  }

  /// Changes the timetable from now on; runs that were due by the old one stay.
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
  /// The limit for counting runs; a laptop that slept for a year has missed "more than 100".
  static let countLimit = 100

  let schedules: [CronSchedule]
  let zone: ZoneRules

  var isEmpty: Bool { schedules.isEmpty }

  /// The first run after a time.
  func next(after time: Timestamp) -> Timestamp? {
    schedules.lazy.compactMap { $0.next(after: time, in: zone) }.min()
  }

  /// The runs in `first...end`; `first` is one of them.
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
  /// The number of runs, including the latest; beyond ``Timetable/countLimit`` it is not exact.
  var count: Int

  /// These and later ones.
  func merged(with later: DueRuns) -> DueRuns {
    DueRuns(latest: later.latest, count: count + later.count)
  }
}

extension Words {
  /// A wall time for a person in that zone: `02:00`, with its date if it is on another day than
  /// `now`.
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
