import Names

/// Decides when a backup starts, from events and times alone.
///
/// At most one backup is running, and at most one start is pending. Three things can be pending:
/// - *a change*, until a backup that started after it has succeeded, whatever the reason for that
///   backup. It may start at the latest of a list of constraints (quiet, floor, backoff, quiet
///   hours), each with its reason.
/// - *a scheduled run*, until a scheduled backup has succeeded. It waits only for a running backup
///   and the pause after failures, and it also covers the change. Missed runs are made up once,
///   however many they were.
/// - *a request* of a person. It waits only for a running backup. If it fails, the person gets the
///   error, and only other pending work that it would have covered is tried again. A request and a
///   pending scheduled run are one backup, a scheduled one.
///
/// In addition, a full may be *advised* (``FullAdvice``). It waits for a quiet time. If it cannot
/// wait any longer, it runs before the next change, and covers that.
///
/// A person may ask for a *pause*: until its end only requests start a backup.
///
/// At a shutdown there is no waiting: the pending work becomes one last backup, even in the quiet
/// hours and in a pause, because the disk may be thrown away with the machine. Changes after the start of that
/// backup do not start another one.
///
/// Debounce, floors and backoff use the monotonic clock alone, calendars the wall clock alone.
package struct TriggerMachine: Sendable {
  /// A scheduled run with a delay up to this is still on time.
  static let tolerance: Int64 = 60000
  /// Maximum number of consecutive backups that are given up for an application that closes the
  /// database.
  static let yieldLimit = 2
  /// A comparison reads the whole database. Changes wait this many times its duration after it, so
  /// that it takes a tenth of the time.
  static let comparisonPauseFactor: Int64 = 9

  package private(set) var settings: TriggerSettings

  private var work = PendingWork()
  private var running: RunningBackup?
  private var book: ScheduleBook
  private var backoff = Backoff()
  private var history = TriggerHistory()
  private var lastStart: Int64?
  /// Monotonic milliseconds until which changes do not start a backup; see
  /// ``comparisonPauseFactor``.
  private var comparisonPauseEnd: Int64?
  /// Monotonic milliseconds of the first advice about the chain, and of the last change.
  private var advisedSince = Int64.min
  private var lastChange: Int64?
  private var requestedPause: RequestedPause?
  private var yields = 0
  /// A backup was given up in this very event, and continues without waiting.
  private var isResuming = false
  private var isStopping = false
  /// The last backup before the end has begun, or was abandoned.
  private var hasBegunLast = false
  private var now = Moment(wall: Timestamp(milliseconds: 0), monotonic: .min)
  /// Why the pending work does not start yet, as of the last event.
  private var obstacle: Obstacle?
  /// The last reported reason for waiting.
  private var lastWait: String?
  private var saidThatChangesWait = false
  /// The quiet hours for whose end a change waits; nil if no change waits for them.
  package private(set) var quietWait: QuietWait?

  package init(settings: TriggerSettings = TriggerSettings()) {
    self.settings = settings
    book = ScheduleBook(settings.timetable)
  }

  /// Processes one event and returns the next action.
  package mutating func receive(_ event: TriggerEvent, at moment: Moment) -> TriggerAction {
    // A monotonic clock does not go back; if a caller mixes up two readings, this must not cause an
    // endless wait.
    now = Moment(wall: moment.wall.writable, monotonic: max(now.monotonic, moment.monotonic))
    advanceBook()
    if let pause = requestedPause, pause.until <= now.monotonic { endPause(PauseWords.over) }
    let skipped = record(event)
    let missed = admitDueRuns()
    let action = next()
    isResuming = false
    obstacle = rules.obstacle(to: work)
    if let action { return action }
    if running == nil { recordWait() }
    return (skipped ?? missed).map { .skip(reason: $0) } ?? .wait(until: wakeUp)
  }

  /// Records the event; returns the reason why it has no effect, if it has none.
  private mutating func record(_ event: TriggerEvent) -> String? {
    switch event {
    case .change: return recordChange()
    case .startup(let changed, let lastScheduled, let reason):
      book.begin(after: (lastScheduled ?? now.wall).writable)
      advanceBook()
      if changed { return recordChange(reason) }
    case .requested:
      guard !isStopping else { return nil }
      guard work.requested == nil else { return skip("a backup that was asked for is waiting already") }
      work.requested = now.wall
    case .pause(let milliseconds): pause(milliseconds)
    case .resume: endPause(PauseWords.ended)
    case .finished(let outcome): finish(outcome)
    case .compared(let milliseconds):
      comparisonPauseEnd = now.monotonic.addingClamped(
        max(0, milliseconds).multipliedClamped(by: Self.comparisonPauseFactor))
    case .advised(let advice): record(advice)
    case .reload(let settings): reload(settings)
    case .shutdown: isStopping = true
    case .lastBackupAgain: hasBegunLast = false
    case .tick: break
    }
    return nil
  }

  private mutating func recordChange(_ reason: String? = nil) -> String? {
    lastChange = now.monotonic
    let makesUpRun = work.recordChange(reason, at: now)
    guard !makesUpRun, settings.mode == .schedule, !saidThatChangesWait else { return nil }
    saidThatChangesWait = true
    return skip("in mode schedule a change does not start a backup; the next scheduled run will include it")
  }

  private mutating func record(_ advice: FullAdvice?) {
    if let advice, isNews(advice) {
      advisedSince = now.monotonic
      history.record(.notice, "a full is due: \(advice.reason)", at: now.wall)
    }
    work.advice = advice
  }

  private mutating func pause(_ milliseconds: Int64) {
    let pause = RequestedPause(from: now, milliseconds: milliseconds)
    requestedPause = pause
    history.record(
      .notice, PauseWords.begin + Words.time(pause.end, in: settings.zone, seenFrom: now.wall), at: now.wall)
  }

  private mutating func endPause(_ reason: String) {
    guard requestedPause != nil else { return }
    requestedPause = nil
    history.record(.notice, reason, at: now.wall)
  }

  private mutating func reload(_ settings: TriggerSettings) {
    history.record(.notice, "the settings were reloaded", at: now.wall)
    let old = self.settings
    self.settings = settings
    saidThatChangesWait = false
    guard settings.timetable != old.timetable else { return }
    book.change(to: settings.timetable)
    guard settings.timetable.isEmpty, let run = work.run else { return }
    let time = Words.time(run.runs.latest, in: old.zone, seenFrom: now.wall)
    history.record(.skip, "the run of \(time) was dropped: there is no schedule now", at: now.wall)
    work.run = nil
  }
}

// MARK: - Pending work

extension TriggerMachine {
  /// Whether there is a change after which no backup has begun.
  ///
  /// - Parameter isBackupWaiting: the backup that was started last has not begun to read.
  package func isChangePending(isBackupWaiting: Bool) -> Bool {
    work.change != nil || isBackupWaiting && running?.work.change != nil
  }

  /// The end of the pause that a person asked for; nil if there is none.
  package var pausedUntil: Timestamp? { requestedPause?.end }

  /// The advice to end the newest chain.
  package var advice: FullAdvice? { work.advice }

  /// The time of the first change that waits for a backup; nil if there is no such change, or if
  /// changes do not start backups.
  package var pendingSince: Timestamp? { startableChange?.since }

  /// Whether a change is in no backup at the end because its backup failed.
  package var hasLastBackupFailed: Bool {
    isStopping && running == nil && backoff.failures > 0 && startableChange != nil
  }

  /// Whether the running backup may be given up for an application that closes the database.
  package var mayYield: Bool { running != nil && yields < Self.yieldLimit }

  /// Whether the advice is about another chain than the last one, or more urgent.
  package func isNews(_ advice: FullAdvice) -> Bool {
    advice.chain != self.advice?.chain || advice.urgency != self.advice?.urgency
  }
}

// MARK: - Starting and ending

extension TriggerMachine {
  /// Starts what may start now; nil if everything waits.
  private mutating func next() -> TriggerAction? {
    guard running == nil else { return nil }
    if isStopping { return last() }
    switch rules.start(of: work) {
    case .run(let run):
      let reason = run.startReason(settings, at: now.wall)
      return start(.scheduled, work.requested == nil ? reason : "asked for, and \(reason)")
    case .request: return start(.manual, "asked for")
    case .change(let change): return start(.change, change.startReason(settings, at: now.monotonic))
    case .renewal(let advice): return renew(advice)
    case nil: return nil
    }
  }

  /// Work that is pending at the end does not wait. A change comes first, because its backup is
  /// small.
  private mutating func last() -> TriggerAction {
    guard !hasBegunLast else { return .stop }
    let order: (BackupType, String)? =
      if startableChange != nil {
        (.change, "changed before the agent was asked to stop")
      } else if let run = work.run, !run.awaitsDatabase {
        (.scheduled, run.startReason(settings, at: now.wall))
      } else if work.requested != nil {
        (.manual, "asked for")
      } else {
        nil
      }
    guard let (trigger, reason) = order else { return .stop }
    hasBegunLast = true
    return start(trigger, reason)
  }

  /// The advice is removed at the same time: if the full has nothing to store, repeated attempts
  /// make no sense.
  private mutating func renew(_ advice: FullAdvice) -> TriggerAction {
    let reason = advice.startReason(settings)
    _ = start(.change, reason)
    running?.work.advice = advice
    work.advice = nil
    return .renew(advice, reason: reason)
  }

  private mutating func start(_ trigger: BackupType, _ reason: String) -> TriggerAction {
    running = RunningBackup(trigger: trigger, reason: reason, since: now.wall, work: work.begin())
    lastStart = now.monotonic
    (lastWait, quietWait) = (nil, nil)
    history.record(.start(trigger), reason, at: now.wall)
    return .start(trigger, reason: reason)
  }

  /// Records the reason for waiting, if it is a new one.
  private mutating func recordWait() {
    // An advised full waits for a quiet time after each change again; the advice itself was
    // recorded already.
    guard work.run != nil || startableChange != nil, let obstacle else { return }
    recordQuietWait(obstacle)
    guard obstacle.reason != lastWait else { return }
    lastWait = obstacle.reason
    history.record(.wait, obstacle.reason, at: now.wall)
  }

  private mutating func recordQuietWait(_ obstacle: Obstacle) {
    guard obstacle.isQuietHours, let end = obstacle.until.wall, let hours = settings.quietHours else {
      return quietWait = nil
    }
    work.change?.heldBack = true
    work.change?.heldUntil = end
    // The text of a known wait stays, because the end has another date after midnight.
    guard quietWait?.end != end || quietWait?.hours != hours else { return }
    quietWait = QuietWait(end: end, hours: hours, time: Words.time(end, in: settings.zone, seenFrom: now.wall))
  }

  private mutating func skip(_ reason: String) -> String {
    history.record(.skip, reason, at: now.wall)
    return reason
  }

  private mutating func finish(_ outcome: Outcome) {
    guard let ended = running else { return }
    running = nil
    switch outcome {
    case .stored, .unchanged:
      backoff.reset()
      yields = 0
    case .absent:
      backoff.reset()
      yields = 0
      awaitDatabase(ended)
    case .failed(.interrupted, _) where isStopping:
      hasBegunLast = true
      putBack(ended, because: "again: it was interrupted")
    case .yielded where yields < Self.yieldLimit:
      yields += 1
      isResuming = true
      hasBegunLast = false
      work.requested = work.requested ?? ended.work.requested
      putBack(ended, because: "again, after it yielded to the application")
      history.record(.failure, "given up: the application closes the database", at: now.wall)
    case .failed(let code, let cause): fail(ended, code.rawValue, cause)
    case .yielded: fail(ended, "given up too often")
    }
  }

  /// Bytes of a cause in a recorded decision: the journal keeps thousands of them.
  private static let longestCause = 400

  /// - Parameter cause: the error's message; nil if the code says it all.
  private mutating func fail(_ ended: RunningBackup, _ why: String, _ cause: String? = nil) {
    yields = 0
    backoff.recordFailure(at: now.monotonic)
    let text = cause?.printable.shortened(toBytes: Self.longestCause) ?? ended.reason
    history.record(.failure, "the backup failed (\(why)): \(text)", at: now.wall)
    let times = backoff.failures == 1 ? "a failure" : "\(backoff.failures) failures"
    putBack(ended, because: "trying again after \(times)")
  }

  private mutating func awaitDatabase(_ ended: RunningBackup) {
    guard work.awaitDatabase(for: ended.work, hasSchedule: !book.timetable.isEmpty) else { return }
    history.record(.failure, "there is no database to back up: \(ended.reason)", at: now.wall)
  }

  private mutating func putBack(_ ended: RunningBackup, because reason: String) {
    work.putBack(ended.work, because: reason, hasSchedule: !book.timetable.isEmpty)
  }
}

extension TriggerMachine {
  /// When the next `.tick` is due, and the reason for waiting; nil if only an event can change
  /// anything.
  package var deadline: (until: Deadline, reason: String)? {
    guard let until = wakeUp else { return nil }
    if let obstacle { return (until, obstacle.reason) }
    let run = book.upcoming.map { "the run of \(Words.time($0, in: settings.zone, seenFrom: now.wall))" }
    return (until, run ?? "the end of the pause")
  }

  /// The deadline without its reason; needed after every event.
  package var wakeUp: Deadline? {
    guard running == nil, !isStopping else { return nil }
    var until = obstacle?.until ?? Deadline()
    // The end of a pause is a decision of its own, even if nothing waits for it.
    if let pause = requestedPause { until = until.earlier(Deadline(monotonic: pause.until)) }
    if let upcoming = book.upcoming { until.wall = min(until.wall ?? upcoming, upcoming) }
    return until == Deadline() ? nil : until
  }

  /// What the machine waits for, and how long, for the log.
  package var waitText: String {
    guard let (until, reason) = deadline else { return "waiting for an event" }
    let elapsed = max(now.monotonic, -.max)
    let times = [
      until.monotonic.map { "for \(Words.duration(milliseconds: max(0, $0.addingClamped(-elapsed))))" },
      until.wall.map { "until \(Words.time($0, in: settings.zone, seenFrom: now.wall))" },
    ]
    return "waiting \(times.compactMap { $0 }.joined(separator: ", or ")): \(reason)"
  }

  /// Why a change or a run waits for a minute or longer; nil if none does. Quiet hours are in
  /// ``quietWait``.
  package var longWait: (reason: String, text: String)? {
    guard work.run != nil || startableChange != nil, let obstacle, !obstacle.isQuietHours,
      let rest = obstacle.until.monotonic?.addingClamped(-max(now.monotonic, -.max)), rest >= 60_000
    else { return nil }
    return (obstacle.reason, "waiting for \(Words.duration(milliseconds: rest)): \(obstacle.reason)")
  }

  private var startableChange: PendingChange? { work.startableChange(in: settings.mode) }

  private var rules: StartRules {
    StartRules(
      settings: settings, now: now, backoff: backoff, lastStart: lastStart, comparisonPauseEnd: comparisonPauseEnd,
      quietSince: lastChange ?? advisedSince, upcoming: book.upcoming, requestedPause: requestedPause,
      isResuming: isResuming)
  }

  /// When an advised full is stored, after "a full backup is due".
  package func time(of advice: FullAdvice) -> String {
    if settings.mode == .schedule { return " at the next scheduled run" }
    return advice.urgency == .soon ? "" : " at the next quiet time"
  }
}

extension TriggerMachine {
  /// Advances the calendar to now.
  private mutating func advanceBook() {
    guard let step = book.advance(to: now) else { return }
    let behind = "the clock is \(Words.minutes(milliseconds: step.behind)) behind the latest time seen"
    switch step {
    case .setBack:
      let until = Words.time(book.latest ?? now.wall, in: settings.zone, seenFrom: now.wall)
      history.record(.notice, "\(behind); runs up to \(until) are not repeated", at: now.wall)
    case .startedOver:
      let from = Words.time(now.wall, in: settings.zone, seenFrom: now.wall)
      history.record(.notice, "\(behind); schedules start over from \(from)", at: now.wall)
      // By the new clock it is in the future.
      if let run = work.run, run.runs.latest > now.wall { work.run = nil }
    }
  }

  /// Decides whether due runs are made; returns the reason if they are not.
  private mutating func admitDueRuns() -> String? {
    guard running == nil, !isStopping, let due = book.removeDue() else { return nil }
    let isLate = now.wall.milliseconds - due.latest.milliseconds > Self.tolerance
    let time = Words.time(due.latest, in: settings.zone, seenFrom: now.wall)
    if isLate, !settings.catchUp {
      let missed = due.count == 1 ? "" : " (\(Words.runs(due.count)) in all)"
      return skip("the run of \(time) was missed\(missed), and catch_up is off")
    }
    if BackupType.scheduled.skipsUnchanged(settings), work.change == nil, work.run == nil {
      return skip("the run of \(time) has nothing to store: nothing has changed since the last backup")
    }
    work.admit(due, isLate: isLate)
    return nil
  }
}

extension TriggerMachine {
  /// The decisions after the first `count`, as far as they are still known, and the number of all.
  package func decisions(after count: Int) -> (new: [TriggerDecision], count: Int) {
    (history.decisions.suffix(history.count - count), history.count)
  }

  /// The present state of the machine and its reasons.
  package var status: TriggerStatus {
    let deadline = deadline
    return TriggerStatus(
      mode: settings.mode, state: state,
      running: running.map { .init(trigger: $0.trigger, since: $0.since, reason: $0.reason) },
      pending: pending, nextRun: book.upcoming, deadline: deadline?.until, waitingFor: deadline?.reason,
      unprotectedSince: [work.change, running?.work.change].compactMap { $0?.since }.min(),
      pausedUntil: pausedUntil, failures: backoff.failures, mayYield: mayYield, heldUntil: heldUntil,
      waitsUntil: obstacle?.until.wallTime(from: now), decisions: history.decisions)
  }

  /// The end of the quiet hours, or the run that is being made up in mode schedule.
  private var heldUntil: Timestamp? {
    let held = [work.change, running?.work.change].compactMap { $0?.heldUntil }
    let run = settings.mode == .schedule ? (running?.work.run ?? work.run)?.runs.latest : nil
    return (held + (run.map { [$0] } ?? [])).max()
  }

  private var state: TriggerStatus.State {
    if isStopping { return .stopping }
    if running != nil { return .running }
    return pending.isEmpty ? .idle : .waiting
  }

  private var pending: [TriggerStatus.Work] { work.list(settings, at: now.wall, due: book.due) }
}
