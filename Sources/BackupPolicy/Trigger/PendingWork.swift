/// All work that no running backup covers. ``TriggerMachine`` owns the only pending one, and each
/// running backup the work that it covers.
struct PendingWork: Sendable {
  var change: PendingChange?
  var run: ScheduledRun?
  /// When the request of a person was made.
  var requested: Timestamp?
  /// The advice to end the newest chain.
  var advice: FullAdvice?

  /// The change, if changes start backups.
  func startableChange(in mode: TriggerMode) -> PendingChange? { mode == .schedule ? nil : change }

  /// The advice, if the mode allows fulls without a request.
  func startableAdvice(in mode: TriggerMode) -> FullAdvice? { mode == .schedule || run != nil ? nil : advice }

  /// Records a change.
  ///
  /// - Returns: whether a scheduled run was waiting for it, because there was no database.
  mutating func recordChange(_ reason: String?, at now: Moment) -> Bool {
    var change = change ?? PendingChange(at: now)
    change.last = now.monotonic
    change.reason = reason ?? change.reason
    self.change = change
    guard run?.awaitsDatabase == true else { return false }
    run?.awaitsDatabase = false
    return true
  }

  /// Adds due runs to the pending one.
  mutating func admit(_ due: DueRuns, isLate: Bool) {
    run = ScheduledRun(runs: run?.runs.merged(with: due) ?? due, isLate: isLate, again: run?.again)
  }

  /// Returns the work that any backup covers, which is then no longer pending. The advice stays.
  mutating func begin() -> PendingWork {
    defer { (change, run, requested) = (nil, nil, nil) }
    return PendingWork(change: change, run: run, requested: requested)
  }

  /// The work that a backup should have covered is pending again; a change since then only waits for
  /// the backoff.
  mutating func putBack(_ covered: PendingWork, because reason: String, hasSchedule: Bool) {
    if var again = covered.change {
      again.last = change?.last ?? again.last
      again.reason = reason
      change = again
    }
    advice = advice ?? covered.advice
    if var again = covered.run, hasSchedule {
      again.again = reason
      run = again
    }
  }

  /// A scheduled run is made up as soon as there is a database again. A change since the attempt
  /// began may be its return.
  ///
  /// - Returns: whether there was such a run.
  mutating func awaitDatabase(for covered: PendingWork, hasSchedule: Bool) -> Bool {
    guard var again = covered.run, hasSchedule else { return false }
    again.again = "the database was not there"
    again.awaitsDatabase = change == nil
    run = again
    return true
  }

  /// The work in the order of its backups.
  ///
  /// - Parameter due: the runs that came due while a backup was running.
  func list(_ settings: TriggerSettings, at now: Timestamp, due: DueRuns?) -> [TriggerStatus.Work] {
    var list: [TriggerStatus.Work] = []
    if let requested { list.append(.init(trigger: .manual, since: requested, reason: "asked for")) }
    if let run {
      list.append(.init(trigger: .scheduled, since: run.runs.latest, reason: run.startReason(settings, at: now)))
    } else if let due {
      let time = Words.time(due.latest, in: settings.zone, seenFrom: now)
      list.append(.init(trigger: .scheduled, since: due.latest, reason: "scheduled for \(time)"))
    }
    if let change { list.append(.init(trigger: .change, since: change.since, reason: change.reason ?? "changed")) }
    return list
  }
}

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
  /// The end of the quiet hours that have kept it from starting.
  var heldUntil: Timestamp?

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
  func startReason(_ settings: TriggerSettings, at time: Int64) -> String {
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
  func startReason(_ settings: TriggerSettings, at now: Timestamp) -> String {
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

/// A running backup.
struct RunningBackup: Sendable {
  var trigger: BackupType
  var reason: String
  var since: Timestamp
  /// The work that it covers, which is pending again if it fails. If it is a full that was not
  /// requested, the advice is part of it.
  var work: PendingWork
}

/// The time in which a person wants no backup to start by itself.
struct RequestedPause: Sendable {
  /// Monotonic milliseconds of its end.
  var until: Int64
  /// The same, by the wall clock at the time of the request.
  var end: Timestamp

  init(from now: Moment, milliseconds: Int64) {
    until = max(now.monotonic, 0).addingClamped(max(0, milliseconds))
    end = Timestamp(milliseconds: now.wall.milliseconds.addingClamped(max(0, milliseconds))).writable
  }
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
  func startReason(_ settings: TriggerSettings) -> String {
    switch urgency {
    case .whenQuiet: "a full after \(Words.duration(milliseconds: settings.quiet)) of quiet: \(reason)"
    case .soon: "a full, because it cannot wait any longer for a quiet time: \(reason)"
    }
  }
}
