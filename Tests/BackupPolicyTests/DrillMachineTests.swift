import Testing

@testable import BackupPolicy

/// Runs the machine of drills in virtual time against a timeline of characters, an hour each, as an
/// agent would: it sleeps until the deadline that it got, on either clock, and reports the end of
/// each drill to the machine.
///
/// Events: `-` nothing, `z` the computer is off or asleep for this hour, `m` a drill by hand
/// passes, `<` and `>` the wall clock is set back or forward by an hour, `x` the agent stops, `r`
/// it is started again. Results: `D` a drill began and passed, `F` one failed, `P` one was put off,
/// `!` an alarm is up at the end of an hour in which no drill began.
struct DrillDiagram {
  enum Ending {
    case passes
    case fails
    case putOff
  }

  var settings: DrillSettings
  var endings: [Ending]
  private(set) var reasons: [String] = []
  private(set) var skips: [String] = []
  private(set) var wakes = 0
  private var machine: DrillMachine
  private var summary: DrillSummary
  private var now: Int64 = 0
  private var origin = TriggerTimes.utc("2026-11-23 00:00:30")
  private var mark: Character?

  init(_ settings: DrillSettings, summary: DrillSummary = DrillSummary(), endings: [Ending] = []) {
    (self.settings, self.summary, self.endings) = (settings, summary, endings)
    machine = DrillMachine(settings: settings)
  }

  private var wall: Timestamp { Timestamp(milliseconds: origin.milliseconds + now) }
  var concerns: [DrillConcern] { machine.concerns }

  mutating func run(_ events: String) -> String {
    send(.startup(summary))
    var line = ""
    for (hour, event) in events.enumerated() {
      let end = Int64(hour + 1) * TriggerTimes.hour - 1
      if hour > 0 { mark = nil }
      if event == "z" {
        line.append("z")
        continue
      }
      // Time has passed while the agent slept.
      if line.last == "z" { now = Int64(hour) * TriggerTimes.hour }
      take(event)
      advance(to: end)
      line.append(mark ?? (machine.concerns.isEmpty ? "-" : "!"))
    }
    return line
  }

  private mutating func take(_ event: Character) {
    switch event {
    case "m":
      (summary.last, summary.lastPassed, summary.failure) = (wall, wall, nil)
      send(.learned(summary))
    case "<", ">":
      origin = Timestamp(milliseconds: origin.milliseconds + (event == "<" ? -1 : 1) * TriggerTimes.hour)
      send(.tick)
    case "x": send(.shutdown)
    case "r":
      machine = DrillMachine(settings: settings)
      send(.startup(summary))
    default: break
    }
  }

  /// Lets time pass, deadline by deadline; if a deadline passed while the computer slept, it is
  /// handled when the computer wakes.
  private mutating func advance(to time: Int64) {
    while let next = wakeUp, next <= time {
      now = max(now, next)
      wakes += 1
      send(.tick)
    }
    now = max(now, time)
  }

  private var wakeUp: Int64? {
    let deadline = machine.deadline
    return [deadline.monotonic, deadline.wall.map { $0.milliseconds - origin.milliseconds }].compactMap { $0 }.min()
  }

  private mutating func send(_ event: DrillMachine.Event) {
    switch machine.receive(event, at: Moment(wall: wall, monotonic: now)) {
    case .wait: break
    case .skip(let reason): skips.append(reason)
    case .start(let reason):
      reasons.append(reason)
      end(endings.isEmpty ? .passes : endings.removeFirst())
    }
  }

  private mutating func end(_ ending: Ending) {
    // A drill takes two minutes.
    now += 120_000
    switch ending {
    case .passes: (mark, summary.last, summary.lastPassed, summary.failure) = ("D", wall, wall, nil)
    case .fails: (mark, summary.last, summary.failure) = ("F", wall, .init(time: wall, words: "damaged"))
    case .putOff: mark = mark ?? "P"
    }
    send(.finished(ending == .putOff ? .putOff(reason: "busy") : .done, summary))
  }
}

@Suite("The agent's own drills")
struct DrillMachineTests {
  /// Every six hours, at half past.
  private func settings(_ change: (inout DrillSettings) -> Void = { _ in }) throws -> DrillSettings {
    var settings = DrillSettings(schedules: [try CronSchedule("30 */6 * * *")])
    change(&settings)
    return settings
  }

  @Test("A drill runs once at each run of its schedule, and not in between")
  func scheduled() throws {
    var diagram = DrillDiagram(try settings())
    #expect(diagram.run("--------------") == "D-----D-----D-")
    #expect(diagram.reasons == ["scheduled for 00:30", "scheduled for 06:30", "scheduled for 12:30"])
    #expect(diagram.wakes == 3)
  }

  @Test("Without a schedule no drill runs, and an idle agent is not woken")
  func none() throws {
    var diagram = DrillDiagram(DrillSettings())
    #expect(diagram.run("------------") == "------------" && diagram.wakes == 0)
  }

  @Test("Runs missed in sleep are made up once, or not at all without catch_up")
  func missed() throws {
    var diagram = DrillDiagram(try settings())
    #expect(diagram.run("--zzzzzzzzzzzz------") == "D-zzzzzzzzzzzzD---D-")
    #expect(diagram.reasons[1] == "made up for the drill of 12:30 (2 runs in all)")
    var strict = DrillDiagram(try settings { $0.catchUp = false })
    #expect(strict.run("--zzzzzzzzzzzz------") == "D-zzzzzzzzzzzz----D-")
    #expect(strict.skips == ["the drill of 12:30 was missed (2 runs in all), and catch_up is off"])
  }

  @Test("A run missed while the agent was down is made up when it starts, unless a drill by hand covers it")
  func restarted() throws {
    var diagram = DrillDiagram(try settings())
    #expect(diagram.run("--x-----r---") == "D-------D---")
    #expect(diagram.reasons[1] == "made up for the drill of 06:30")
    var byHand = DrillDiagram(try settings())
    #expect(byHand.run("--x----mr---") == "D-----------")
  }

  @Test("If a computer is always off at the scheduled hour, the first drill is also made up")
  func neverOn() throws {
    let oldest = TriggerTimes.utc("2026-11-22 20:00:00")
    var diagram = DrillDiagram(
      DrillSettings(schedules: [try CronSchedule("0 22 * * *")]), summary: DrillSummary(oldestPoint: oldest))
    #expect(diagram.run("---") == "D--")
    #expect(diagram.reasons == ["made up for the drill of 2026-11-22 22:00"])
  }

  @Test("A clock that is set back repeats no drill, and one that is set forward makes up")
  func clockSet() throws {
    var back = DrillDiagram(try settings())
    #expect(back.run("-<-----------") == "D------D-----")
    var forward = DrillDiagram(try settings())
    #expect(forward.run("------>-----") == "D-----D----D")
    #expect(forward.reasons[1] == "made up for the drill of 06:30")
  }

  @Test("A drill that could not run is tried again after a pause, a few times, and a failed one is not")
  func putOff() throws {
    var diagram = DrillDiagram(try settings(), endings: [.putOff, .putOff, .passes])
    #expect(diagram.run("------") == "D-----")
    #expect(diagram.reasons == ["scheduled for 00:30", "again: scheduled for 00:30", "again: scheduled for 00:30"])
    var hopeless = DrillDiagram(try settings(), endings: Array(repeating: .putOff, count: 20))
    #expect(hopeless.run("------") == "PP----")
    #expect(hopeless.reasons.count == DrillMachine.attempts)
    var failed = DrillDiagram(try settings(), endings: [.fails])
    #expect(failed.run("--------") == "F!!!!!D-")
    #expect(failed.reasons.count == 2)
  }

  @Test("A failed drill raises an alarm until one passes, also if it runs by hand")
  func failedAlarm() throws {
    var diagram = DrillDiagram(try settings(), endings: [.fails])
    #expect(diagram.run("---m--") == "F!!---")
    var lasting = DrillDiagram(try settings(), endings: [.fails, .fails])
    #expect(lasting.run("--------") == "F!!!!!F!")
    #expect(lasting.concerns == [.failed("the last drill failed: damaged")])
  }

  @Test("A drill that is too old raises an alarm by itself, from the very hour on")
  func tooOld() throws {
    let passed = TriggerTimes.utc("2026-11-22 21:20:00")
    var diagram = DrillDiagram(
      DrillSettings(maxAge: 6 * 3600), summary: DrillSummary(last: passed, lastPassed: passed))
    #expect(diagram.run("-----m--------") == "---!!-----!!!!")
    #expect(diagram.wakes == 2)
    guard case .tooOld(let words)? = diagram.concerns.first else { return }
    #expect(words.hasPrefix("no drill has passed since 2026-11-23T05:") && words.hasSuffix("more than 6 h ago"))
  }

  @Test("A drill that is too old stays an alarm while the next one runs, until one has passed")
  func tooOldWhileRunning() throws {
    func at(_ text: String) -> Moment {
      let wall = TriggerTimes.utc("2026-11-23 \(text)")
      return Moment(wall: wall, monotonic: wall.milliseconds)
    }
    let strict = try settings { $0.maxAge = 4 * 3600 }
    var summary = DrillSummary(last: at("00:30:00").wall, lastPassed: at("00:30:00").wall)
    var machine = DrillMachine(settings: strict)
    #expect(machine.receive(.startup(summary), at: at("01:00:00")) == .wait && machine.concerns.isEmpty)
    #expect(machine.receive(.tick, at: at("05:00:00")) == .wait && machine.concerns.count == 1)
    #expect(machine.receive(.tick, at: at("06:30:00")) == .start(reason: "scheduled for 06:30"))
    #expect(machine.concerns.count == 1)
    #expect(machine.receive(.finished(.putOff(reason: "busy"), summary), at: at("06:31:00")) == .wait)
    #expect(machine.concerns.count == 1)
    #expect(machine.receive(.tick, at: at("06:41:00")) == .start(reason: "again: scheduled for 06:30"))
    #expect(machine.concerns.count == 1)
    (summary.last, summary.failure) = (at("06:50:00").wall, .init(time: at("06:50:00").wall, words: "damaged"))
    #expect(machine.receive(.finished(.done, summary), at: at("06:50:00")) == .wait && machine.concerns.count == 2)
    (summary.lastPassed, summary.failure) = (at("07:00:00").wall, nil)
    #expect(machine.receive(.learned(summary), at: at("07:00:00")) == .wait && machine.concerns.isEmpty)
    // Nobody has heard of it if the agent was off: the drill that is made up comes first.
    machine = DrillMachine(settings: strict)
    #expect(machine.receive(.startup(summary), at: at("18:00:00")) != .wait && machine.concerns.isEmpty)
    #expect(machine.receive(.tick, at: at("18:10:00")) == .wait && machine.concerns.isEmpty)
    // Whoever has heard of it learns of its end only after a drill has passed.
    machine = DrillMachine(settings: strict)
    #expect(machine.receive(.startup(summary, wasTooOld: true), at: at("18:00:00")) != .wait)
    #expect(machine.concerns.count == 1)
  }

  @Test("A stopping agent starts no drill, and a new schedule counts from its own start")
  func stopAndReload() throws {
    var machine = DrillMachine(settings: try settings())
    func at(_ text: String) -> Moment {
      let wall = TriggerTimes.utc("2026-11-23 \(text)")
      return Moment(wall: wall, monotonic: wall.milliseconds)
    }
    #expect(machine.receive(.startup(DrillSummary()), at: at("00:10:00")) == .wait)
    let hourly = DrillSettings(schedules: [try CronSchedule("15 * * * *")])
    #expect(machine.receive(.reload(hourly), at: at("00:12:00")) == .wait)
    #expect(machine.deadline.wall == at("00:15:00").wall)
    #expect(machine.receive(.tick, at: at("00:15:00")) == .start(reason: "scheduled for 00:15"))
    #expect(machine.receive(.tick, at: at("01:15:00")) == .wait, "one at a time")
    #expect(
      machine.receive(.finished(.done, DrillSummary()), at: at("01:20:00"))
        == .start(reason: "made up for the drill of 01:15"))
    #expect(machine.receive(.shutdown, at: at("01:21:00")) == .wait)
    #expect(machine.receive(.finished(.done, DrillSummary()), at: at("03:20:00")) == .wait)
    #expect(machine.deadline == Deadline())
  }
}
