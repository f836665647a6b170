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
