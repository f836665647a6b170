/// Decides when a drill starts by itself, and reports problems of the drills so far, from events
/// and times alone.
///
/// At most one drill runs. If a scheduled time arrives while a drill runs, that run is pending;
/// missed runs are made up once. If a drill could not be attempted, because the repository was
/// locked or there was nothing to drill yet, it is retried after a pause, a few times. A failed
/// drill is not retried, because it has reported its result: the next run, or a person, finds out
/// whether the problem is over.
package struct DrillMachine: Sendable {
  /// How a drill ended.
  package enum Ending: Hashable, Sendable {
    /// It passed or failed; the history has the result.
    case done
    /// It could not be attempted.
    case putOff(reason: String)
  }

  package enum Event: Hashable, Sendable {
    /// The agent has started, and knows the history, and whether the one before it had reported that
    /// the last drill was too old.
    case startup(DrillSummary, wasTooOld: Bool = false)
    case finished(Ending, DrillSummary)
    /// Another process ran a drill, or points were added or removed.
    case learned(DrillSummary)
    /// The deadline has passed, or the wall clock was set.
    case tick
    case reload(DrillSettings)
    case shutdown
  }

  package enum Action: Hashable, Sendable {
    case wait
    /// Start a drill, and send `.finished` when it has ended.
    case start(reason: String)
    /// A drill that was due is not made.
    case skip(reason: String)
  }

  /// Milliseconds until a postponed drill is tried again, and the number of attempts.
  static let pause: Int64 = 600_000
  static let attempts = 6

  package private(set) var settings: DrillSettings
  package private(set) var summary = DrillSummary()
  package private(set) var isRunning = false
  private var book: ScheduleBook
  private var now = Moment(wall: Timestamp(milliseconds: 0), monotonic: .min)
  private var isStopping = false
  /// The pending run: its reason, the number of attempts so far, and the earliest monotonic time of
  /// the next one.
  private var owed: (reason: String, tries: Int, from: Int64)?
  private var running: (reason: String, tries: Int)?
  /// The last drill was too old before the present one began.
  private var wasTooOld = false

  package init(settings: DrillSettings = DrillSettings()) {
    self.settings = settings
    book = ScheduleBook(settings.timetable)
  }

  /// Processes one event and returns the next action.
  package mutating func receive(_ event: Event, at moment: Moment) -> Action {
    now = Moment(wall: moment.wall.writable, monotonic: max(now.monotonic, moment.monotonic))
    _ = book.advance(to: now)
    handle(event)
    let action = next()
    if !isRunning { wasTooOld = isTooOld }
    return action
  }

  private mutating func handle(_ event: Event) {
    switch event {
    case .startup(let summary, let wasReported):
      self.summary = summary
      // If only runs begun since the start were made up, a computer that is off at that hour each
      // week would never drill.
      book.begin(after: (summary.last ?? summary.oldestPoint ?? now.wall).writable)
      _ = book.advance(to: now)
      wasTooOld = wasReported && isTooOld
    case .finished(let ending, let summary): finish(ending, summary)
    case .learned(let summary): self.summary = summary
    case .reload(let settings): reload(settings)
    case .shutdown: isStopping = true
    case .tick: break
    }
  }

  private mutating func finish(_ ending: Ending, _ summary: DrillSummary) {
    self.summary = summary
    isRunning = false
    defer { running = nil }
    guard case .putOff = ending, let running, running.tries < Self.attempts else { return }
    owed = (running.reason, running.tries, now.monotonic.addingClamped(Self.pause))
  }

  private mutating func reload(_ settings: DrillSettings) {
    let old = self.settings.timetable
    self.settings = settings
    guard settings.timetable != old else { return }
    book.change(to: settings.timetable)
    if settings.timetable.isEmpty { owed = nil }
  }

  private mutating func next() -> Action {
    guard !isRunning, !isStopping else { return .wait }
    if let due = book.removeDue() { return admit(due) }
    guard let owed, owed.from <= now.monotonic else { return .wait }
    return start("again: \(owed.reason)", tries: owed.tries + 1, of: owed.reason)
  }

  private mutating func admit(_ due: DueRuns) -> Action {
    let time = Words.time(due.latest, in: settings.zone, seenFrom: now.wall)
    let missed = due.count == 1 ? "" : " (\(Words.runs(due.count)) in all)"
    guard now.wall.milliseconds - due.latest.milliseconds > TriggerMachine.tolerance else {
      return start("scheduled for \(time)", tries: 1)
    }
    guard settings.catchUp else {
      return .skip(reason: "the drill of \(time) was missed\(missed), and catch_up is off")
    }
    return start("made up for the drill of \(time)\(missed)", tries: 1)
  }

  private mutating func start(_ reason: String, tries: Int, of original: String? = nil) -> Action {
    (owed, isRunning) = (nil, true)
    running = (original ?? reason, tries)
    return .start(reason: reason)
  }
}

extension DrillMachine {
  /// The present problems. If the last drill becomes too old while another one runs, that is not
  /// reported, because the result is about to change it. If it was too old before, it is until one
  /// passes.
  package var concerns: [DrillConcern] {
    let isKnown = !isRunning || wasTooOld
    return summary.concerns(maxAge: isKnown ? settings.age(at: now.wall) : nil, now: now.wall)
  }

  private var expiry: Timestamp? { settings.age(at: now.wall).flatMap { summary.expiry(maxAge: $0) } }

  private var isTooOld: Bool { expiry.map { $0 <= now.wall } ?? false }

  /// The next drill by the clock.
  package var upcoming: Timestamp? { book.upcoming }

  /// When to send the next `.tick`: for the next run, for a pending attempt, and for the moment
  /// when the last drill becomes too old.
  package var deadline: Deadline {
    guard !isStopping else { return Deadline() }
    let wall = [book.upcoming, expiry].compactMap { $0 }.filter { $0 > now.wall }.min()
    return Deadline(monotonic: isRunning ? nil : owed?.from, wall: wall)
  }
}

/// The steps of a drill, in this order; the raw values are the names in the history.
package enum DrillStep: String, Hashable, Sendable, CaseIterable {
  /// Reads the archives, proves them, and writes the database to scratch space.
  case restore
  /// SQLite's own check of the restored database.
  case integrity
  /// Compares the rows of each table with the count from when the point was made.
  case rowCounts = "row_counts"
  /// The configured queries.
  case assertions

  /// For messages: the step that failed.
  package var words: String {
    switch self {
    case .restore: "restoring it"
    case .integrity: "SQLite's integrity check"
    case .rowCounts: "counting its rows"
    case .assertions: "the assertions"
    }
  }
}

/// The history of drills, as far as decisions need it.
package struct DrillSummary: Hashable, Sendable {
  /// The failure of the newest drill.
  package struct Failure: Hashable, Sendable {
    package var time: Timestamp
    /// Lower case, no full stop.
    package var words: String

    package init(time: Timestamp, words: String) {
      self.time = time
      self.words = words
    }
  }

  /// The time of the newest drill, whatever its result.
  package var last: Timestamp?
  /// The time of the newest drill that passed.
  package var lastPassed: Timestamp?
  /// Nil if the newest drill passed, or if there was no drill.
  package var failure: Failure?
  /// The time of the oldest point: if there has never been a drill, the age counts from here. Nil
  /// if there are no points.
  package var oldestPoint: Timestamp?

  package init(
    last: Timestamp? = nil, lastPassed: Timestamp? = nil, failure: Failure? = nil, oldestPoint: Timestamp? = nil
  ) {
    self.last = last
    self.lastPassed = lastPassed
    self.failure = failure
    self.oldestPoint = oldestPoint
  }
}

/// A problem of the drills, as text.
package enum DrillConcern: Hashable, Sendable {
  /// The newest drill failed.
  case failed(String)
  /// The last drill that passed was too long ago, or no drill has ever passed.
  case tooOld(String)

  package var words: String {
    switch self {
    case .failed(let words), .tooOld(let words): words
    }
  }
}

extension DrillSummary {
  /// When the last drill that passed becomes, or became, too old; nil if there is nothing to drill.
  ///
  /// - Parameter maxAge: seconds.
  package func expiry(maxAge: Int64) -> Timestamp? {
    (lastPassed ?? oldestPoint)?.adding(seconds: maxAge)
  }

  /// The present problems.
  ///
  /// - Parameter maxAge: seconds after which a drill no longer counts; nil: it always counts.
  package func concerns(maxAge: Int64?, now: Timestamp) -> [DrillConcern] {
    var concerns: [DrillConcern] = []
    if let failure { concerns.append(.failed("the last drill failed: \(failure.words)")) }
    if let maxAge, let expiry = expiry(maxAge: maxAge), expiry <= now {
      let limit = Words.duration(seconds: maxAge)
      concerns.append(
        .tooOld(
          lastPassed.map { "no drill has passed since \($0.iso8601), which is more than \(limit) ago" }
            ?? "no drill has ever passed, and there are backups for more than \(limit)"))
    }
    return concerns
  }
}
