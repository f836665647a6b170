@testable import BackupPolicy

/// Runs a machine in virtual time against a timeline, one character for 100 ms, as an agent would: it sleeps until the
/// deadline it was given, and tells the machine when a backup has ended.
///
/// Events: `c` change, `r` request, `x` shutdown, `-` nothing. What happened: `S` a backup for a change started, `M` one that
/// was asked for, `X` stop.
struct TriggerDiagram {
  static let cell: Int64 = 100

  var machine: TriggerMachine
  /// How long each backup takes, in milliseconds.
  var duration: Int64
  /// How the backups end, in order; those after the last are stored.
  var outcomes: [Outcome]

  private(set) var now: Int64 = 0
  private(set) var deadline: Int64?
  private(set) var ends: Int64?
  /// Starts with their times and reasons.
  private(set) var starts: [(time: Int64, trigger: Trigger, reason: String)] = []
  private(set) var stopped: Int64?
  /// Rules of the agent's contract that were broken, in words.
  private(set) var violations: [String] = []
  /// Times at which the machine was woken by its own deadline.
  private(set) var wakes = 0

  init(_ settings: TriggerSettings = TriggerSettings(), duration: Int64 = 200, outcomes: [Outcome] = []) {
    machine = TriggerMachine(settings: settings)
    self.duration = duration
    self.outcomes = outcomes
  }

  /// The timeline of starts for a timeline of events.
  mutating func run(_ events: String, startup: Bool? = nil) -> String {
    if let startup { send(.startup(changedWhileDown: startup)) }
    for (index, event) in events.enumerated() {
      advance(to: Int64(index) * Self.cell)
      switch event {
      case "c": send(.change)
      case "r": send(.requested)
      case "x": send(.shutdown)
      default: break
      }
    }
    advance(to: Int64(events.count) * Self.cell - 1)
    return timeline(events.count)
  }

  /// Lets time pass: the ends of backups and the deadlines on the way come first.
  mutating func advance(to time: Int64) {
    while let next = [ends, ends == nil ? deadline : nil].compactMap({ $0 }).min(), next <= time {
      now = max(now, next)
      if ends != nil {
        ends = nil
        send(.finished(outcomes.isEmpty ? .stored : outcomes.removeFirst()))
      } else {
        wakes += 1
        send(.tick)
      }
    }
    now = max(now, time)
  }

  mutating func send(_ event: TriggerEvent) {
    let moment = Moment(wall: Timestamp(milliseconds: 1_700_000_000_000 + now), monotonic: now)
    let action = machine.receive(event, at: moment)
    switch action {
    case .wait(let until):
      deadline = until
      if let until, until <= now { violations.append("\(now): told to wait until \(until), which has passed") }
      if until != machine.deadline?.until {
        violations.append("\(now): waits until \(until as Any), deadline says otherwise")
      }
    case .start(let trigger, let reason):
      if ends != nil { violations.append("\(now): a second backup started beside a running one") }
      if stopped != nil { violations.append("\(now): a backup started after the stop") }
      if reason.isEmpty { violations.append("\(now): no reason") }
      starts.append((now, trigger, reason))
      deadline = nil
      ends = now + duration
    case .skip: break
    case .stop:
      if ends != nil { violations.append("\(now): stopped beside a running backup") }
      stopped = stopped ?? now
      deadline = nil
    }
  }

  private func timeline(_ count: Int) -> String {
    var cells = [Character](repeating: "-", count: count)
    for start in starts { cells[Int(start.time / Self.cell)] = start.trigger == .manual ? "M" : "S" }
    if let stopped { cells[Int(stopped / Self.cell)] = "X" }
    return String(cells)
  }
}
