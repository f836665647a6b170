/// Decides which messages one channel gets and when, from the alarms that last and from times alone.
///
/// - An alarm counts after a delay that depends on its kind. The first message follows 30 s later and
///   has all alarms that last. Changes follow at most each 5 min, and a reminder each 24 h.
/// - An alarm has ended if it stays away for 60 s. This time doubles with each end that was reported
///   in the last 24 h, so that an alarm that comes and goes does not fill a mailbox.
/// - A message that fails is not kept: later, the state of that time is sent.
/// - At most 10 messages are sent in an hour. The next message says how many changes were held back.
package struct NotificationMachine: Sendable {
  package enum Event: Hashable, Sendable {
    /// All alarms that last now.
    case alarms([OpenAlarm])
    /// The message of the last `.send` was accepted. The ID is the message's.
    case delivered(id: String)
    /// It was not accepted, after all attempts.
    case failed
    /// The deadline has passed, or the wall clock was set.
    case tick
    case reload(NotificationSettings)
  }

  package enum Action: Hashable, Sendable {
    case wait
    /// Send a message, and pass on `.delivered` or `.failed` afterwards.
    case send(Notice)
  }

  /// The message that is on its way, if any.
  private enum State: Hashable {
    case idle
    case sending(Notice)
    /// The last message failed. The next one is sent from then on.
    case failed(until: Int64)
  }

  /// An alarm that lasts, or that receivers believe to last.
  private struct Watch {
    var alarm: OpenAlarm
    /// It counts from then on.
    var from: Int64
    /// Since when it does not last any more; nil if it lasts.
    var goneSince: Int64?
    /// How long it must stay away at least before its end is reported.
    var quiet: Int64 = 0
    var isTold = false
  }

  /// A message that is to be sent, and when.
  private struct Wanted {
    var kind: Notice.Kind
    var time: Int64

    init(_ kind: Notice.Kind, _ time: Int64) { (self.kind, self.time) = (kind, time) }
  }

  // Milliseconds.
  static let gathering: Int64 = 30_000
  static let changeInterval: Int64 = 300_000
  static let reminderInterval: Int64 = 86_400_000
  static let quiet: Int64 = 60_000
  static let longestQuiet: Int64 = 6 * 3_600_000
  static let hour: Int64 = 3_600_000
  package static let hourlyLimit = 10
  private static let day: Int64 = 86_400_000
  private static let longestFailurePause: Int64 = 3_600_000

  private var state = State.idle
  /// Failed messages since the last accepted one.
  private var failures = 0
  private var watches: [OpenAlarm.Key: Watch] = [:]
  private var thread: String?
  /// Times of ``now``, oldest first.
  private var sent: [Int64] = []
  /// The time of the last message about alarms.
  private var lastAlarmNotice: Int64?
  private var ends: [OpenAlarm.Key: [Int64]] = [:]
  private var heldBack = 0
  /// The alarms that counted when a message was last held back.
  private var heldBackAlarms: Set<OpenAlarm.Key>?
  private var now: Moment
  private var book: ScheduleBook
  private var lastReport: Timestamp?
  private var isReportDue = false

  /// - Parameters:
  ///   - memory: the facts that receivers knew when the agent ended.
  package init(
    _ settings: NotificationSettings = NotificationSettings(), _ memory: NotificationMemory = NotificationMemory(),
    at moment: Moment
  ) {
    now = Moment(wall: moment.wall.writable, monotonic: moment.monotonic)
    book = ScheduleBook(settings.timetable)
    lastReport = memory.lastReport
    book.begin(after: min(memory.lastReport ?? now.wall, now.wall))
    thread = memory.thread
    sent = memory.sent.map(elapsed)
    // Files of earlier versions have the time of the last message of any kind.
    lastAlarmNotice = (memory.lastAlarmNotice ?? memory.sent.last).map(elapsed)
    ends = memory.ends.mapValues { $0.map(elapsed) }
    for alarm in memory.told {
      // The agent detects it again only after some time.
      watches[alarm.key] = Watch(
        alarm: alarm, from: now.monotonic, goneSince: now.monotonic, quiet: Self.patience(after: alarm.key.kind),
        isTold: true)
    }
  }

  /// The facts that a restart needs.
  package var memory: NotificationMemory {
    var memory = NotificationMemory()
    memory.told = watches.values.filter(\.isTold).map(\.alarm).sorted { $0.key < $1.key }
    memory.thread = thread
    memory.sent = sent.map(wall)
    memory.lastAlarmNotice = lastAlarmNotice.map(wall)
    memory.ends = ends.mapValues { $0.map(wall) }
    memory.lastReport = lastReport
    return memory
  }

  /// The last messages were not accepted.
  package var isFailing: Bool { failures > 0 }

  /// When to send `.tick`.
  package var deadline: Deadline {
    if case .sending = state { return Deadline() }
    return Deadline(monotonic: nextMessage?.time, wall: isReportDue ? nil : book.upcoming)
  }

  /// Processes one event and returns the next action.
  package mutating func receive(_ event: Event, at moment: Moment) -> Action {
    now = Moment(wall: moment.wall.writable, monotonic: max(now.monotonic, moment.monotonic))
    _ = book.advance(to: now)
    if book.removeDue() != nil { isReportDue = true }
    handle(event)
    forgetOldTimes()
    return next()
  }

  private mutating func handle(_ event: Event) {
    switch event {
    case .alarms(let alarms): update(alarms)
    case .delivered(let id):
      if case .sending(let notice) = state { recordDelivery(of: notice, id: id) }
    case .failed: recordFailure()
    case .tick: break
    case .reload(let settings): if settings.timetable != book.timetable { book.change(to: settings.timetable) }
    }
  }
}

// Alarms that begin and end.
extension NotificationMachine {
  /// How long an alarm must last before receivers learn of it, in milliseconds.
  package static func delay(of kind: String) -> Int64 {
    switch kind {
    case "disk_full", "key", "key_file", "corrupt": 0
    // These are raised after the target's own max_lag.
    case _ where kind.hasPrefix("target_"): 0
    case "locked": 300_000
    default: 60_000
    }
  }

  /// How long after the start of the agent an alarm of before may stay away, in milliseconds.
  package static func patience(after kind: String) -> Int64 { kind.hasPrefix("target_") ? 1_200_000 : 300_000 }

  private mutating func update(_ alarms: [OpenAlarm]) {
    let open = Dictionary(alarms.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    for (key, alarm) in open { begin(key, alarm) }
    for (key, watch) in watches where open[key] == nil && watch.goneSince == nil {
      if watch.isTold || isOnItsWay(key) {
        watches[key]?.goneSince = now.monotonic
      } else {
        watches[key] = nil
      }
    }
  }

  private mutating func begin(_ key: OpenAlarm.Key, _ alarm: OpenAlarm) {
    let from = now.monotonic.addingClamped(Self.delay(of: key.kind))
    guard var watch = watches[key] else {
      watches[key] = Watch(alarm: alarm, from: from)
      return
    }
    if watch.goneSince != nil { (watch.goneSince, watch.from, watch.quiet) = (nil, from, 0) }
    // The message may have changed; receivers keep the time that they know.
    let since = watch.isTold ? watch.alarm.since : alarm.since
    watch.alarm = alarm
    watch.alarm.since = since
    watches[key] = watch
  }

  private func isOnItsWay(_ key: OpenAlarm.Key) -> Bool {
    guard case .sending(let notice) = state else { return false }
    return notice.open.contains { $0.key == key }
  }

  /// When the end of an alarm counts; nil if it lasts.
  private func end(of watch: Watch) -> Int64? {
    guard let gone = watch.goneSince else { return nil }
    let reported = min(ends[watch.alarm.key]?.count ?? 0, 16)
    return gone.addingClamped(max(watch.quiet, min(Self.quiet << reported, Self.longestQuiet)))
  }
}

// Messages.
extension NotificationMachine {
  private mutating func next() -> Action {
    if case .sending = state { return .wait }
    countHeldBack()
    guard let message = nextMessage, message.time <= now.monotonic else { return .wait }
    let notice = notice(message.kind)
    state = .sending(notice)
    return .send(notice)
  }

  /// The next message that is to be sent if nothing else happens, and its time.
  private var nextMessage: Wanted? {
    guard let wanted = wantedMessage else { return nil }
    var time = wanted.time
    if case .failed(let until) = state { time = max(time, until) }
    if let free = limitEnd { time = max(time, free) }
    return Wanted(wanted.kind, time)
  }

  /// The same without regard to failures and the limit.
  private var wantedMessage: Wanted? {
    let candidates = [isReportDue ? Wanted(.report, now.monotonic) : nil, change, reminder].compactMap { $0 }
    return candidates.min { $0.time < $1.time }
  }

  /// The message about alarms that begin or end.
  private var change: Wanted? {
    let told = watches.values.filter(\.isTold)
    let begins = watches.values.filter { !$0.isTold && $0.goneSince == nil }.map {
      $0.from.addingClamped(Self.gathering)
    }
    guard !told.isEmpty else { return begins.min().map { Wanted(.alarm, $0) } ?? overdue(.recovery) }
    let ends = told.compactMap(end)
    guard begins.isEmpty else { return (begins + ends).min().map(spaced) }
    // Alarms that last want no message for a day, and the ends of alarms that flap for hours.
    let wanted = ends.count == told.count ? ends.max().map { Wanted(.recovery, $0) } : ends.min().map(spaced)
    return [wanted, overdue(.change)].compactMap { $0 }.min { $0.time < $1.time }
  }

  /// A change at this time, or later if another message about alarms has just been sent.
  private func spaced(_ time: Int64) -> Wanted {
    Wanted(.change, max(time, (lastAlarmNotice ?? .min).addingClamped(Self.changeInterval)))
  }

  /// After a message that failed, receivers get the present state, even if nothing has changed since
  /// the last one that was accepted.
  private func overdue(_ kind: Notice.Kind) -> Wanted? {
    if case .failed(let until) = state { Wanted(kind, until) } else { nil }
  }

  private var reminder: Wanted? {
    guard watches.values.contains(where: { $0.isTold && $0.goneSince == nil }) else { return nil }
    return Wanted(.reminder, (lastAlarmNotice ?? now.monotonic).addingClamped(Self.reminderInterval))
  }

  /// When the hourly limit permits the next message; nil if it does now.
  private var limitEnd: Int64? {
    guard sent.count >= Self.hourlyLimit else { return nil }
    let end = sent[sent.count - Self.hourlyLimit].addingClamped(Self.hour)
    return end > now.monotonic ? end : nil
  }

  private mutating func countHeldBack() {
    guard limitEnd != nil, let wanted = wantedMessage, wanted.time <= now.monotonic else { return }
    let counting = Set(watches.values.filter { $0.goneSince == nil && $0.from <= now.monotonic }.map(\.alarm.key))
    guard counting != heldBackAlarms else { return }
    heldBackAlarms = counting
    heldBack += 1
  }

  private func notice(_ kind: Notice.Kind) -> Notice {
    let order = { (one: OpenAlarm, other: OpenAlarm) in (one.since, one.key) < (other.since, other.key) }
    let over = watches.values.filter { $0.isTold && end(of: $0).map { $0 <= now.monotonic } ?? false }
    let isReport = kind == .report
    let open = watches.values.filter {
      $0.goneSince == nil || $0.isTold && end(of: $0).map { $0 > now.monotonic } ?? true
    }
    return Notice(
      kind, open: open.map(\.alarm).sorted(by: order),
      new: isReport ? [] : Set(open.filter { !$0.isTold }.map(\.alarm.key)),
      over: isReport ? [] : over.map(\.alarm).sorted(by: order), heldBack: isReport ? 0 : heldBack,
      thread: isReport ? nil : thread)
  }

  private mutating func recordFailure() {
    guard case .sending = state else { return }
    failures += 1
    let pause = min(Self.changeInterval << min(failures - 1, 6), Self.longestFailurePause)
    state = .failed(until: now.monotonic.addingClamped(pause))
    watches = watches.filter { $0.value.isTold || $0.value.goneSince == nil }
  }

  private mutating func recordDelivery(of notice: Notice, id: String) {
    (state, failures) = (.idle, 0)
    sent.append(now.monotonic)
    guard notice.kind != .report else {
      (isReportDue, lastReport) = (false, now.wall)
      return
    }
    (heldBack, heldBackAlarms, lastAlarmNotice) = (0, nil, now.monotonic)
    for alarm in notice.open { watches[alarm.key]?.isTold = true }
    for alarm in notice.over {
      ends[alarm.key, default: []].append(now.monotonic)
      // It may have begun again since.
      if watches[alarm.key]?.goneSince == nil { watches[alarm.key]?.isTold = false } else { watches[alarm.key] = nil }
    }
    thread = watches.values.contains(where: \.isTold) ? thread ?? id : nil
  }
}

// Times.
extension NotificationMachine {
  private mutating func forgetOldTimes() {
    sent = sent.suffix(Self.hourlyLimit)
    for (key, times) in ends {
      let recent = times.filter { now.monotonic.addingClamped(-$0) < Self.day }
      ends[key] = recent.isEmpty ? nil : recent
    }
  }

  /// A stored time as one of this process's monotonic clock; not in the future, because a wall clock
  /// can be set back.
  private func elapsed(_ time: Timestamp) -> Int64 {
    now.monotonic.addingClamped(-max(0, now.wall.milliseconds.addingClamped(-time.milliseconds)))
  }

  private func wall(_ time: Int64) -> Timestamp {
    Timestamp(milliseconds: now.wall.milliseconds.addingClamped(time.addingClamped(-now.monotonic))).writable
  }
}
