/// A change that no backup covers yet.
struct PendingChange: Sendable {
  /// Monotonic milliseconds of the first and the latest change.
  var first: Int64
  var last: Int64
  /// Wall time of the first.
  var since: Timestamp
  /// The reason why it need not wait for quiet: it happened before the agent started, or was tried
  /// already.
  var reason: String?
  /// Only the quiet hours have kept it from starting.
  var heldBack = false

  init(at now: Moment) {
    (first, last, since) = (now.monotonic, now.monotonic, now.wall)
  }

  /// Quiet after the last change, but at most `maxDelay` after the first.
  func debouncePause(_ settings: TriggerSettings) -> Pause {
    if reason != nil { return Pause(until: first, reason: "nothing") }
    let calm = last.addingClamped(settings.debounce)
    let ceiling = ceiling(settings)
    return calm <= ceiling
      ? Pause(until: calm, reason: "quiet after a change")
      : Pause(until: ceiling, reason: "the longest delay after a change")
  }

  /// When it has waited for the longest permitted time.
  func ceiling(_ settings: TriggerSettings) -> Int64 { first.addingClamped(settings.maxDelay) }

  /// The reason for a backup of this change.
  func words(_ settings: TriggerSettings, at time: Int64) -> String {
    if let reason { return reason }
    if heldBack, let hours = settings.quietHours { return "held back by the quiet hours (\(hours.text))" }
    return last <= time.addingClamped(-settings.debounce)
      ? "changed, then quiet for \(Words.duration(milliseconds: settings.debounce))"
      : "changing for \(Words.duration(milliseconds: settings.maxDelay)) without a pause"
  }
}

/// A scheduled run without a backup so far.
struct ScheduledRun: Sendable {
  /// The latest pending run; the backup for it covers those before it.
  var runs: DueRuns
  /// It is made up for.
  var isLate: Bool
  /// The result of the previous attempts.
  var again: String?
  /// The last attempt found no database, so that it waits for the next change.
  var awaitsDatabase = false

  /// The reason for a backup of this run.
  func words(_ settings: TriggerSettings, at now: Timestamp) -> String {
    let time = Words.time(runs.latest, in: settings.zone, seenFrom: now)
    let what = (isLate ? "made up for the run of \(time)" : "scheduled for \(time)") + missed
    return again.map { "\($0): \(what)" } ?? what
  }

  private var missed: String {
    if runs.count == 1 { return "" }
    if isLate { return "; \(Words.runs(runs.count)) were missed" }
    let isCounted = runs.count <= Timetable.countLimit
    let before = Words.runs(isCounted ? runs.count - 1 : runs.count)
    return "; \(before) before it \(runs.count == 2 ? "was" : "were") missed"
  }
}

/// A running backup and the work that it covers, which is pending again if it fails.
struct RunningBackup: Sendable {
  var trigger: BackupType
  var reason: String
  var since: Timestamp
  var change: PendingChange?
  var run: ScheduledRun?
  /// When a person requested it.
  var requested: Timestamp?
  /// The reason for a full that was not requested.
  var advice: FullAdvice?
}

/// Something that a backup waits for, on the monotonic clock.
struct Pause: Sendable {
  var until: Int64
  var reason: String
}

/// The pause after failures, which doubles with each in a row up to the longest.
struct Backoff: Sendable {
  private(set) var failures = 0
  private var lastFailure: Int64?

  mutating func recordFailure(at time: Int64) {
    failures += 1
    lastFailure = time
  }

  mutating func reset() { self = Backoff() }

  func pause(_ settings: TriggerSettings) -> Pause? {
    guard let lastFailure else { return nil }
    var length = settings.firstBackoff
    for _ in 1..<max(1, min(failures, 63)) { length = length.addingClamped(length) }
    return Pause(
      until: lastFailure.addingClamped(min(length, settings.maxBackoff)), reason: "the pause after a failure")
  }
}

/// The reason why pending work does not start yet.
struct Obstacle {
  var until: Deadline
  var reason: String
  var isQuietHours = false
}

/// The wait of a change for the end of the quiet hours.
package struct QuietWait: Hashable, Sendable {
  package let end: Timestamp
  let hours: QuietHours
  /// The end, as text.
  let time: String

  /// The line for the log.
  package var text: String {
    "waiting for the end of the quiet hours at \(time): a change is pending, and quiet_hours is \(hours.text)"
  }
}

extension FullAdvice {
  /// The reason for a full now.
  func words(_ settings: TriggerSettings) -> String {
    switch urgency {
    case .whenQuiet: "a full after \(Words.duration(milliseconds: settings.quiet)) of quiet: \(reason)"
    case .soon: "a full, because it cannot wait any longer for a quiet time: \(reason)"
    }
  }
}
