@testable import BackupPolicy

/// Runs a machine in virtual time against a timeline of characters, as an agent would: it sleeps
/// until the deadline that it got, on either clock, and reports the end of each backup to the
/// machine.
///
/// Events: `c` change, `r` request, `p` a pause of a second, `e` its end, `x` shutdown, `z` the computer sleeps for this cell, `<` and
/// `>` the wall clock is set back or forward by an hour, `-` nothing. Results: `S` a backup for a
/// change started, `M` one on request, `C` one by the clock, `F` an advised full, `X` stop.
struct TriggerDiagram {
  struct Start {
    var time: Int64
    var trigger: BackupType
    var reason: String
    var wall: Timestamp
    /// The outcome, or nil while the backup runs.
    var outcome: Outcome?
    /// The full was advised.
    var isFull = false
  }

  var machine: TriggerMachine
  /// Milliseconds of a character.
  var cell: Int64 = 100
  /// The duration of each backup, in milliseconds.
  var duration: Int64
  /// The outcomes of the backups, in order; those after the last are stored.
  var outcomes: [Outcome]
  /// Wall time when `now` is 0.
  var origin = Timestamp(milliseconds: 1_700_000_000_000)

  private(set) var now: Int64 = 0
  private(set) var deadline: Deadline?
  private(set) var ends: Int64?
  private(set) var starts: [Start] = []
  private(set) var skips: [String] = []
  private(set) var stopped: Int64?
  /// Broken rules of the agent's contract, in words.
  private(set) var violations: [String] = []
  /// The number of times that the machine was woken by its own deadline.
  private(set) var wakes = 0
  private var sends = 0

  init(_ settings: TriggerSettings = TriggerSettings(), duration: Int64 = 200, outcomes: [Outcome] = []) {
    machine = TriggerMachine(settings: settings)
    self.duration = duration
    self.outcomes = outcomes
  }

  var moment: Moment { Moment(wall: wall, monotonic: now) }
  var wall: Timestamp { Timestamp(milliseconds: origin.milliseconds + now) }

  /// The timeline of starts for a timeline of events.
  mutating func run(_ events: String, startup: Bool? = nil, lastScheduled: Timestamp? = nil) -> String {
    if let startup { send(.startup(changedWhileDown: startup, lastScheduled: lastScheduled)) }
    for (index, event) in events.enumerated() {
      if event == "z" { continue }
      // If an event was due while the computer slept, it comes when the computer wakes.
      advance(to: Int64(index) * cell, asleepBefore: events.dropFirst(max(0, index - 1)).first == "z")
      switch event {
      case "c": send(.change)
      case "r": send(.requested)
      case "p": send(.pause(milliseconds: 1000))
      case "e": send(.resume)
      case "x": send(.shutdown)
      case "<": setClock(by: -3_600_000)
      case ">": setClock(by: 3_600_000)
      default: break
      }
    }
    advance(to: Int64(events.count) * cell - 1)
    return timeline(events.count)
  }

  /// Lets time pass: the ends of backups and the deadlines on the way come first, or, if the
  /// computer sleeps, when it wakes.
  mutating func advance(to time: Int64, asleepBefore: Bool = false) {
    if asleepBefore { now = max(now, time) }
    while let next = wakeUp, next <= time {
      now = max(now, next)
      if ends != nil { end() } else { tick() }
    }
    now = max(now, time)
  }

  mutating func advance(by length: Int64) { advance(to: now + length) }

  /// The wall clock is set, and the agent is woken for it.
  mutating func setClock(by change: Int64) {
    origin = Timestamp(milliseconds: origin.milliseconds + change)
    tick()
  }

  mutating func tick() {
    wakes += 1
    send(.tick)
  }

  private mutating func end() {
    ends = nil
    let outcome = outcomes.isEmpty ? .stored : outcomes.removeFirst()
    starts[starts.count - 1].outcome = outcome
    send(.finished(outcome))
  }

  /// The time of the next event without an outside cause, in monotonic time.
  private var wakeUp: Int64? {
    if let ends { return ends }
    let byWall = deadline?.wall.map { $0.milliseconds - origin.milliseconds }
    return [deadline?.monotonic, byWall].compactMap { $0 }.min()
  }

  mutating func send(_ event: TriggerEvent) {
    let action = machine.receive(event, at: moment)
    switch action {
    case .wait(let until):
      if until != machine.wakeUp { violate("waits until \(until as Any), deadline says otherwise") }
    case .start(let trigger, let reason):
      if ends != nil { violate("a second backup started beside a running one") }
      if stopped != nil { violate("a backup started after the stop") }
      if reason.isEmpty { violate("no reason") }
      starts.append(Start(time: now, trigger: trigger, reason: reason, wall: wall))
      ends = now + duration
    case .renew(_, let reason):
      if ends != nil { violate("a second backup started beside a running one") }
      starts.append(Start(time: now, trigger: .change, reason: reason, wall: wall, isFull: true))
      ends = now + duration
    case .skip(let reason):
      if reason.isEmpty { violate("no reason") }
      skips.append(reason)
    case .stop:
      if ends != nil { violate("stopped beside a running backup") }
      stopped = stopped ?? now
    }
    deadline = machine.wakeUp
    if let deadline, deadline.isReached(at: moment) { violate("told to wait until \(deadline), which has passed") }
    // On a day with a million events, a sample is enough.
    sends += 1
    if sends < 100 || sends % 1000 == 0 { checkStatus() }
  }

  private mutating func checkStatus() {
    let status = machine.status
    if (status.state == .running) != (ends != nil), status.state != .stopping {
      violate("the status is \(status.state)")
    }
    if status.decisions.count > 20 { violate("too many decisions are kept") }
    if status.deadline != deadline || (status.waitingFor ?? "").isEmpty != (deadline == nil) {
      violate("a wait without reason")
    }
  }

  private mutating func violate(_ words: String) { violations.append("\(now): \(words)") }

  private func timeline(_ count: Int) -> String {
    var cells = [Character](repeating: "-", count: count)
    let marks: [BackupType: Character] = [.change: "S", .manual: "M", .scheduled: "C"]
    for start in starts { cells[Int(start.time / cell)] = start.isFull ? "F" : marks[start.trigger] ?? "?" }
    if let stopped { cells[Int(stopped / cell)] = "X" }
    return String(cells)
  }
}
