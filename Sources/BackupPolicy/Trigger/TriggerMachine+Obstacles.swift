/// Why something that is owed does not start yet.
struct Obstacle {
  var until: Deadline
  var reason: String
  var isQuietHours = false
}

extension TriggerMachine {
  /// When the next `.tick` is due, and what is waited for; nil where only an event can change anything.
  package var deadline: (until: Deadline, reason: String)? {
    guard let until = wakeUp else { return nil }
    if let obstacle { return (until, obstacle.reason) }
    return book.upcoming.map { (until, "the run of \(Words.time($0, in: settings.zone, seenFrom: now.wall))") }
  }

  /// The deadline without its reason; every event asks for it.
  var wakeUp: Deadline? {
    guard running == nil, !isStopping else { return nil }
    var until = obstacle?.until ?? Deadline()
    if let upcoming = book.upcoming { until.wall = min(until.wall ?? upcoming, upcoming) }
    return until == Deadline() ? nil : until
  }

  /// What the first of the owed things waits for.
  var obstacle: Obstacle? {
    if let run { return obstacle(to: run) }
    let renewal = renewable.flatMap(obstacle(to:))
    guard var first = startable.flatMap(obstacle(to:)) else { return renewal }
    if let other = renewal?.until { first.until = first.until.earlier(other) }
    return first
  }

  /// The owed change, where changes start backups.
  var startable: OwedChange? { settings.mode == .schedule ? nil : change }

  func obstacle(to run: ScheduledRun) -> Obstacle? {
    if run.awaitsDatabase { return Obstacle(until: Deadline(), reason: "a database at the path") }
    guard !isResuming, let pause = backoff.pause(settings), pause.until > now.monotonic else { return nil }
    return Obstacle(until: Deadline(monotonic: pause.until), reason: pause.reason)
  }

  func obstacle(to change: OwedChange) -> Obstacle? {
    if isResuming { return nil }
    if let hours = quietHours { return hours }
    let pause = lastPause(change.settling(settings))
    if pause.until > now.monotonic { return Obstacle(until: Deadline(monotonic: pause.until), reason: pause.reason) }
    return nearRun(change)
  }

  var quietHours: Obstacle? {
    guard let hours = settings.quietHours, let end = hours.end(after: now.wall, in: settings.zone) else { return nil }
    let reason = "the end of the quiet hours (\(hours.text))"
    return Obstacle(until: Deadline(wall: end), reason: reason, isQuietHours: true)
  }

  /// The one that is over last.
  func lastPause(_ first: Pause) -> Pause {
    let floor = lastStart.map {
      Pause(until: $0.addingClamped(settings.minInterval), reason: "the interval between two backups")
    }
    let rest = rest.map { Pause(until: $0, reason: "a comparison of all pages, which is to take a tenth of the time") }
    return [floor, rest, backoff.pause(settings)].compactMap { $0 }.reduce(first) {
      $1.until > $0.until ? $1 : $0
    }
  }

  /// A scheduled run that would start within `min_interval` of this backup: it covers the change as well, so the change
  /// waits for it, as far as the longest delay allows.
  private func nearRun(_ change: OwedChange) -> Obstacle? {
    guard let upcoming = book.upcoming else { return nil }
    let distance = upcoming.milliseconds - now.wall.milliseconds
    let start = now.monotonic.addingClamped(distance)
    guard distance < settings.minInterval, start <= change.ceiling(settings) else { return nil }
    let time = Words.time(upcoming, in: settings.zone, seenFrom: now.wall)
    return Obstacle(
      until: Deadline(monotonic: start, wall: upcoming), reason: "the run of \(time), which will hold the change")
  }
}
