/// The reasons why pending work does not start at one moment.
///
/// A change respects every pause: quiet after the last write, the floor between two backups, the
/// pause after failures and the one after a comparison, and the quiet hours. A scheduled run waits
/// only for the pause after failures. An advised full is work that the agent starts by itself, so
/// it respects every pause of a change, and also the quiet hours: no change is stored then either,
/// so the chain does not grow meanwhile.
struct StartRules {
  let settings: TriggerSettings
  let now: Moment
  let backoff: Backoff
  /// Monotonic milliseconds of the start of the last backup, and of the end of the pause after a
  /// comparison.
  let lastStart: Int64?
  let comparisonPauseEnd: Int64?
  /// Monotonic milliseconds since which the database is quiet.
  let quietSince: Int64
  /// The next run of the calendar.
  let upcoming: Timestamp?
  /// The pause that a person asked for; nil if there is none.
  let requestedPause: RequestedPause?
  /// A backup was given up in this very event, and continues without waiting.
  let isResuming: Bool

  /// What starts first.
  enum Start {
    case run(ScheduledRun)
    case request
    case change(PendingChange)
    case renewal(FullAdvice)
  }

  /// Returns what starts now; nil if everything waits.
  func start(of work: PendingWork) -> Start? {
    if let run = work.run, work.requested != nil || obstacle(to: run) == nil { return .run(run) }
    if work.requested != nil { return .request }
    let advice = work.startableAdvice(in: settings.mode).flatMap { obstacle(to: $0) == nil ? $0 : nil }
    if let advice, advice.urgency == .soon { return .renewal(advice) }
    if work.run == nil, let change = work.startableChange(in: settings.mode), obstacle(to: change) == nil {
      return .change(change)
    }
    return advice.map { .renewal($0) }
  }

  /// The obstacle of the first of the pending things.
  func obstacle(to work: PendingWork) -> Obstacle? {
    if let run = work.run { return obstacle(to: run) }
    let renewal = work.startableAdvice(in: settings.mode).flatMap { obstacle(to: $0) }
    guard var first = work.startableChange(in: settings.mode).flatMap({ obstacle(to: $0) }) else { return renewal }
    if let other = renewal?.until { first.until = first.until.earlier(other) }
    return first
  }

  func obstacle(to run: ScheduledRun) -> Obstacle? {
    if let paused { return paused }
    if run.awaitsDatabase { return Obstacle(until: Deadline(), reason: "a database at the path") }
    guard !isResuming, let pause = backoff.pause(settings), pause.until > now.monotonic else { return nil }
    return Obstacle(until: Deadline(monotonic: pause.until), reason: pause.reason)
  }

  func obstacle(to change: PendingChange) -> Obstacle? {
    if isResuming { return nil }
    if let paused { return paused }
    if let hours = quietHours { return hours }
    let pause = lastPause(change.debouncePause(settings))
    if pause.until > now.monotonic { return Obstacle(until: Deadline(monotonic: pause.until), reason: pause.reason) }
    return nearRun(change)
  }

  private var paused: Obstacle? {
    guard let requestedPause else { return nil }
    let time = Words.time(requestedPause.end, in: settings.zone, seenFrom: now.wall)
    return Obstacle(
      until: Deadline(monotonic: requestedPause.until), reason: "the end of the pause at \(time) (holdfast pause)")
  }

  private var quietHours: Obstacle? {
    guard let hours = settings.quietHours, let end = hours.end(after: now.wall, in: settings.zone) else { return nil }
    let reason = "the end of the quiet hours (\(hours.text))"
    return Obstacle(until: Deadline(wall: end), reason: reason, isQuietHours: true)
  }

  /// The pause that ends last.
  private func lastPause(_ first: Pause) -> Pause {
    let floor = lastStart.map {
      Pause(until: $0.addingClamped(settings.minInterval), reason: "the interval between two backups")
    }
    let comparison = comparisonPauseEnd.map {
      Pause(until: $0, reason: "a comparison of all pages, which is to take a tenth of the time")
    }
    return [floor, comparison, backoff.pause(settings)].compactMap { $0 }.reduce(first) {
      $1.until > $0.until ? $1 : $0
    }
  }

  /// A scheduled run that would start within `min_interval` of this backup also covers the change,
  /// so the change waits for it, as far as the longest delay allows.
  private func nearRun(_ change: PendingChange) -> Obstacle? {
    guard let upcoming else { return nil }
    let distance = upcoming.milliseconds - now.wall.milliseconds
    let start = now.monotonic.addingClamped(distance)
    guard distance < settings.minInterval, start <= change.ceiling(settings) else { return nil }
    let time = Words.time(upcoming, in: settings.zone, seenFrom: now.wall)
    return Obstacle(
      until: Deadline(monotonic: start, wall: upcoming), reason: "the run of \(time), which will include the change")
  }

  func obstacle(to advice: FullAdvice) -> Obstacle? {
    if let paused { return paused }
    if let quietHours { return quietHours }
    let quiet = Pause(until: quietSince.addingClamped(settings.quiet), reason: "a quiet time, for a full")
    let pause = lastPause(advice.urgency == .soon ? Pause(until: .min, reason: "nothing") : quiet)
    if pause.until > now.monotonic { return Obstacle(until: Deadline(monotonic: pause.until), reason: pause.reason) }
    return advice.urgency == .soon ? nil : nearFull
  }

  /// A scheduled run is a full anyway.
  private var nearFull: Obstacle? {
    guard let upcoming, upcoming.milliseconds - now.wall.milliseconds < FullAdvice.nearRun else {
      return nil
    }
    let time = Words.time(upcoming, in: settings.zone, seenFrom: now.wall)
    return Obstacle(until: Deadline(wall: upcoming), reason: "the run of \(time), which will be a full")
  }
}
