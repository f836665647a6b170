import Testing

@testable import BackupPolicy

/// Runs a machine in virtual time as an agent does: it sleeps until the deadline that it got, on
/// either clock, and passes on the end of each message.
struct NotificationRun {
  private(set) var machine: NotificationMachine
  /// The messages and the minutes at which they were sent.
  private(set) var messages: [(minute: Double, notice: Notice)] = []
  /// Milliseconds of the clock that cannot be set.
  private(set) var now: Int64 = 0
  /// The wall clock is ahead of the other one by this.
  var origin = TriggerTimes.utc("2026-11-23 00:00:00")
  var isReachable = true
  private let settings: NotificationSettings
  private var open: [OpenAlarm] = []

  init(_ settings: NotificationSettings = NotificationSettings(), memory: NotificationMemory = NotificationMemory()) {
    self.settings = settings
    machine = NotificationMachine(
      settings, memory, at: Moment(wall: TriggerTimes.utc("2026-11-23 00:00:00"), monotonic: 0))
  }

  private var moment: Moment {
    Moment(wall: Timestamp(milliseconds: origin.milliseconds + now), monotonic: now)
  }

  var kinds: [Notice.Kind] { messages.map(\.notice.kind) }
  var minutes: [Double] { messages.map(\.minute) }

  /// One letter a message: a failure, a change, a reminder, a recovery (`-`), a report (`=`).
  var line: String {
    kinds.map { ["alarm": "a", "change": "c", "reminder": "r", "recovery": "-", "report": "="][$0.rawValue] ?? "?" }
      .joined()
  }

  mutating func begin(_ kind: String, of database: String = "shop") {
    let key = OpenAlarm.Key(database: database, kind: kind)
    open.append(OpenAlarm(key, since: moment.wall, message: "\(kind) of \(database)", hint: nil))
    send(.alarms(open))
  }

  mutating func end(_ kind: String, of database: String = "shop") {
    open.removeAll { $0.key == OpenAlarm.Key(database: database, kind: kind) }
    send(.alarms(open))
  }

  /// The agent ends and begins again after some minutes; it then knows no alarm.
  mutating func restart(after minutes: Double = 0) {
    let memory = machine.memory
    now += Int64(minutes * 60_000)
    open = []
    // The other clock may start again, as after a boot.
    origin = Timestamp(milliseconds: origin.milliseconds + now - 5)
    now = 5
    machine = NotificationMachine(settings, memory, at: moment)
    send(.alarms([]))
  }

  mutating func setClock(by hours: Double) {
    origin = Timestamp(milliseconds: origin.milliseconds + Int64(hours * 3_600_000))
    send(.tick)
  }

  mutating func wait(_ minutes: Double) {
    let end = now + Int64(minutes * 60_000)
    while let next = wakeUp, next <= end {
      now = max(now, next)
      send(.tick)
    }
    now = end
  }

  private var wakeUp: Int64? {
    let deadline = machine.deadline
    return [deadline.monotonic, deadline.wall.map { $0.milliseconds - origin.milliseconds }].compactMap { $0 }.min()
  }

  private mutating func send(_ event: NotificationMachine.Event) {
    guard case .send(let notice) = machine.receive(event, at: moment) else { return }
    guard isReachable else { return send(.failed) }
    messages.append((Double(now) / 60_000, notice))
    send(.delivered(id: "id-\(messages.count)"))
  }
}

@Suite("Messages about alarms, in virtual time")
struct NotificationMachineTests {
  @Test("The first message follows 30 s after the first alarm that counts, and has all that last")
  func gathering() {
    var run = NotificationRun()
    run.begin("disk_full")
    run.wait(0.25)
    run.begin("locked", of: "blog")
    run.wait(10)
    #expect(run.line == "a" && run.minutes == [0.5])
    #expect(run.messages[0].notice.open.map(\.key.kind) == ["disk_full", "locked"])
    #expect(run.messages[0].notice.new.count == 2 && run.messages[0].notice.thread == nil)
  }

  @Test(
    "An alarm that ends before it counts is not reported",
    arguments: [("disk_full", 0.4, 0.6), ("locked", 5.4, 5.6), ("failing", 1.4, 1.6), ("target_behind", 0.4, 0.6)])
  func delays(kind: String, short: Double, long: Double) {
    var run = NotificationRun()
    run.begin(kind)
    run.wait(short)
    run.end(kind)
    run.wait(60)
    #expect(run.messages.isEmpty)
    run.begin(kind)
    run.wait(long)
    #expect(run.line == "a")
  }

  @Test("An outage of two hours is one failure and one recovery, which replies to it")
  func outage() {
    var run = NotificationRun()
    run.begin("disk_full")
    run.wait(120)
    run.end("disk_full")
    run.wait(600)
    #expect(run.line == "a-" && run.minutes == [0.5, 121])
    let recovery = run.messages[1].notice
    #expect(recovery.thread == "id-1" && recovery.open.isEmpty && recovery.over.map(\.key.kind) == ["disk_full"])
    run.begin("disk_full")
    run.wait(5)
    #expect(run.line == "a-a" && run.messages[2].notice.thread == nil)
  }

  @Test("Changes follow at most each 5 minutes, and name the new alarms and those that ended")
  func changes() {
    var run = NotificationRun()
    run.begin("disk_full")
    run.wait(1)
    run.begin("corrupt", of: "blog")
    run.wait(1)
    run.begin("corrupt", of: "queue")
    run.wait(20)
    #expect(run.line == "ac" && run.minutes == [0.5, 5.5])
    #expect(run.messages[1].notice.new.map(\.database).count == 2 && run.messages[1].notice.open.count == 3)
    run.end("disk_full")
    run.wait(20)
    #expect(run.line == "acc")
    #expect(run.messages[2].notice.over.map(\.key.kind) == ["disk_full"] && run.messages[2].notice.open.count == 2)
  }

  @Test("A reminder follows each 24 hours while an alarm lasts")
  func reminders() {
    var run = NotificationRun()
    run.begin("key")
    run.wait(3 * 1440 + 10)
    #expect(run.line == "arrr" && run.minutes == [0.5, 1440.5, 2880.5, 4320.5])
  }

  @Test("An alarm that is away for less than 60 s has not ended")
  func flapping() {
    var run = NotificationRun()
    run.begin("disk_full")
    run.wait(10)
    for _ in 0..<20 {
      run.end("disk_full")
      run.wait(0.9)
      run.begin("disk_full")
      run.wait(2)
    }
    #expect(run.line == "a")
  }

  /// Minutes that a target is behind, and minutes in between.
  @Test(
    "A month of a target that comes and goes is at most 11 failures and 11 recoveries a day",
    arguments: [(1.0, 1.1), (2, 2), (5, 5), (10, 10), (20, 10), (30, 30), (60, 60), (1, 200), (600, 300)])
  func month(behind: Double, quiet: Double) {
    var run = NotificationRun()
    for _ in 0..<Int(30 * 1440 / (behind + quiet)) {
      run.begin("target_behind")
      run.wait(behind)
      run.end("target_behind")
      run.wait(quiet)
    }
    for day in 0..<30 {
      let ofDay = run.messages.filter { $0.minute >= Double(day) * 1440 && $0.minute < Double(day + 1) * 1440 }
      #expect(ofDay.count { $0.notice.kind == .alarm } <= 11 && ofDay.count { $0.notice.kind == .recovery } <= 11)
      #expect(!ofDay.contains { $0.notice.kind == .change })
    }
    // A period of ten minutes is 8,640 events.
    if behind == 5 { #expect(run.messages.count <= 30 * 9, "\(run.messages.count)") }
  }

  @Test("At most 10 messages are sent in an hour, and the next one counts the changes in between")
  func limit() {
    var run = NotificationRun()
    for number in 0..<40 {
      run.begin("corrupt", of: "db\(number)")
      run.wait(5)
    }
    for start in run.minutes {
      #expect(run.minutes.count { $0 >= start && $0 < start + 60 } <= 10)
    }
    let held = run.messages.map(\.notice.heldBack)
    #expect(held.contains { $0 > 0 } && held.reduce(0, +) <= 40)
    #expect(run.messages.last?.notice.open.count ?? 0 >= 37)
  }
}

@Suite("Messages that fail, restarts and clocks, in virtual time")
struct NotificationFaultTests {
  @Test("A message that fails is not kept: the present state goes later")
  func failure() {
    var run = NotificationRun()
    run.isReachable = false
    run.begin("disk_full")
    run.wait(3)
    #expect(run.machine.isFailing)
    run.begin("corrupt", of: "blog")
    run.end("disk_full")
    run.wait(1)
    run.isReachable = true
    run.wait(10)
    #expect(run.line == "a" && run.messages[0].notice.open.map(\.key.kind) == ["corrupt"] && !run.machine.isFailing)
  }

  @Test("If nothing is wrong any more when the receiver is back, it learns that")
  func failureAndRecovery() {
    var run = NotificationRun()
    run.isReachable = false
    run.begin("disk_full")
    run.wait(3)
    run.end("disk_full")
    run.wait(60)
    run.isReachable = true
    run.wait(120)
    #expect(run.line == "-" && run.messages[0].notice.over.isEmpty && !run.machine.isFailing)
  }

  @Test("If a change failed and is over, the next message goes after 5 minutes, although an older alarm lasts")
  func failureBesideAnAlarm() {
    var run = NotificationRun()
    run.begin("key")
    run.wait(10)
    run.isReachable = false
    run.begin("corrupt", of: "blog")
    run.wait(2)
    #expect(run.machine.isFailing)
    run.end("corrupt", of: "blog")
    run.isReachable = true
    run.wait(60)
    #expect(run.line == "ac" && run.minutes == [0.5, 15.5] && !run.machine.isFailing)
    let present = run.messages[1].notice
    #expect(present.open.map(\.key.kind) == ["key"] && present.new.isEmpty && present.over.isEmpty)
    run.wait(1440)
    #expect(run.line == "acr")
  }

  @Test("The same if the older alarm comes and goes, so that its end is not reported for an hour")
  func failureBesideAFlappingAlarm() {
    var run = NotificationRun()
    for _ in 0..<6 {
      run.begin("disk_full")
      run.wait(2)
      run.end("disk_full")
      run.wait(100)
    }
    run.begin("disk_full")
    run.wait(10)
    run.isReachable = false
    run.begin("corrupt", of: "blog")
    run.wait(1)
    run.end("corrupt", of: "blog")
    run.end("disk_full")
    run.isReachable = true
    run.wait(20)
    #expect(run.line == "a-a-a-a-a-a-ac" && !run.machine.isFailing)
    run.wait(60)
    #expect(run.line == "a-a-a-a-a-a-ac-" && run.messages.last?.notice.over.map(\.key.kind) == ["disk_full"])
  }

  @Test("A dead receiver is tried after 5, 10, 20 … minutes, at most each hour")
  func pauses() {
    var run = NotificationRun()
    run.isReachable = false
    run.begin("disk_full")
    var tries = 0
    for _ in 0..<1440 {
      let before = run.machine.deadline.monotonic
      run.wait(1)
      if run.machine.deadline.monotonic != before { tries += 1 }
    }
    #expect((24...30).contains(tries))
  }

  @Test("A restart repeats no message, and an alarm that lasts on is not a new one")
  func restart() {
    var run = NotificationRun()
    run.begin("disk_full")
    run.wait(10)
    run.restart(after: 2)
    run.wait(3)
    run.begin("disk_full")
    run.wait(600)
    #expect(run.line == "a")
    run.end("disk_full")
    run.wait(2)
    #expect(run.line == "a-" && run.messages[1].notice.thread == "id-1")
  }

  @Test("An alarm that ended while the agent was off has a recovery after 5 minutes, of a target after 20")
  func restartWithoutAlarm() {
    for (kind, minutes) in [("disk_full", 5.0), ("target_behind", 20.0)] {
      var run = NotificationRun()
      run.begin(kind)
      run.wait(10)
      run.restart(after: 60)
      run.wait(minutes - 0.1)
      #expect(run.line == "a")
      run.wait(0.2)
      #expect(run.line == "a-", "\(kind)")
    }
  }

  @Test("A restart in the middle of an hour keeps the limit, and one in the middle of a day the reminder")
  func restartKeepsLimits() {
    var run = NotificationRun()
    run.begin("key")
    run.wait(700)
    run.restart()
    run.begin("key")
    run.wait(735)
    #expect(run.line == "a")
    run.wait(20)
    #expect(run.line == "ar")
  }

  @Test("A daily report neither puts off the reminder nor a change")
  func reportBesideAnAlarm() throws {
    let settings = NotificationSettings(report: try CronSchedule("0 8 * * *"))
    var run = NotificationRun(settings)
    run.begin("key")
    run.wait(3 * 1440 + 10)
    #expect(run.line == "a=r=r=r" && run.minutes == [0.5, 480, 1440.5, 1920, 2880.5, 3360, 4320.5])
    run = NotificationRun(settings)
    run.begin("key")
    run.wait(479.75)
    run.begin("corrupt", of: "blog")
    run.wait(5)
    #expect(run.line == "a=c" && run.minutes == [0.5, 480, 480.25])
  }

  @Test("A restart keeps the time of the next reminder also after a report, and reads files without it")
  func reminderAfterRestart() throws {
    var run = NotificationRun(NotificationSettings(report: try CronSchedule("0 8 * * *")))
    run.begin("key")
    run.wait(700)
    run.restart()
    run.begin("key")
    run.wait(735)
    #expect(run.line == "a=")
    run.wait(20)
    #expect(run.line == "a=r")
    var memory = run.machine.memory
    memory.lastAlarmNotice = nil
    var older = NotificationRun(memory: memory)
    older.begin("key")
    older.wait(1441)
    #expect(older.line == "r")
  }

  @Test("Jumps of the wall clock change no message about alarms", arguments: [-10_000.0, -1, 1, 10_000])
  func clock(hours: Double) {
    var run = NotificationRun()
    run.begin("disk_full")
    run.wait(10)
    run.setClock(by: hours)
    run.wait(60)
    run.end("disk_full")
    run.wait(60)
    #expect(run.line == "a-" && run.minutes == [0.5, 71])
  }

  @Test("The report comes each day at its time, once, and after a night that the agent was off")
  func report() throws {
    let settings = NotificationSettings(report: try CronSchedule("0 8 * * *"))
    var run = NotificationRun(settings)
    run.wait(3 * 1440)
    #expect(run.line == "===" && run.minutes == [480, 1920, 3360])
    run.restart(after: 600)
    run.wait(1)
    #expect(run.line == "====")
    run.restart()
    run.wait(60)
    #expect(run.line == "====")
    run.setClock(by: -1)
    run.wait(120)
    #expect(run.line == "====")
  }
}
