import BackupEngine
import BackupPolicy
import FoundationEssentials
import Notifications
import Synchronization
import TestSupport
import Testing
import Transfer
import Wording

@testable import BackupAgent

/// An agent with channels, whose clock of delays is moved on by the test.
private final class MessageBed: Sendable {
  let harness: AgentHarness
  private let ahead = Mutex<Int64>(0)

  /// - Parameter now: wall time, if a test sets it.
  init(now: (@Sendable () -> Timestamp)? = nil) throws { harness = try AgentHarness(now: now) }

  /// With a wall clock at which the next minute begins in 15 seconds: until then an agent has started,
  /// also on a slow machine.
  static func beforeMinute() throws -> MessageBed {
    let ahead = 45_000 - SystemClock.now().milliseconds % 60_000
    return try MessageBed(now: { Timestamp(milliseconds: SystemClock.now().milliseconds + ahead) })
  }

  private var received: String { harness.folder.path("messages") }

  /// A program that keeps what it gets.
  func hook(_ script: String = "", name: String = "hook") throws -> Channel {
    let path = harness.folder.path("\(name).sh")
    try Data("#!/bin/sh\n\(script)\ncat >> \(received)\n".utf8).write(to: URL(filePath: path))
    return Channel(name: name, kind: .command(["/bin/sh", path]))
  }

  func configuration(_ setup: NotificationSetup) -> AgentConfiguration {
    var environment = harness.engine.environment
    environment.monotonic = { [self] in SystemClock.monotonic() + ahead.withLock { $0 } }
    var configuration = harness.configuration()
    configuration.databases[0].engine = Engine(
      database: harness.database, folder: harness.backups, credentials: harness.engine.credentials,
      environment: environment)
    configuration.notifications = setup
    return configuration
  }

  var messages: [JSONObject] {
    let text = (try? String(contentsOfFile: received, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").compactMap { line in
      if case .object(let keys)? = JSONValue(parsing: Array(line.utf8)) { keys } else { nil }
    }
  }

  func pass(seconds: Int64) async {
    // Its answer comes in a later turn of the loop than an alarm that was seen before.
    _ = await harness.control.status()
    ahead.withLock { $0 += seconds * 1000 }
    // The loop wakes up, and arms its timers anew.
    _ = await harness.control.status()
  }

  /// Until the loop knows that the first backup is stored: an alarm of before would end with it.
  func waitUntilSaved() async throws {
    try await harness.eventually("the first backup") { await harness.control.status().first?.lastPoint != nil }
  }

  func wait(for count: Int) async throws {
    try await harness.eventually("\(count) messages") { messages.count >= count }
  }

  func alarms() async -> [String] { await harness.control.status().flatMap(\.alarms).map(\.kind) }

  func raise() async throws {
    try FileManager.default.moveItem(atPath: harness.database, toPath: harness.database + ".away")
    try await harness.eventually("an alarm") { await alarms().contains("missing") }
  }

  func end() async throws {
    try FileManager.default.moveItem(atPath: harness.database + ".away", toPath: harness.database)
    try await harness.eventually("no alarm") { await !alarms().contains("missing") }
  }
}

@Suite("Messages of the agent", .ownThread)
struct AgentMessageTests {
  @Test("A database that vanishes is one message, its return a recovery, and a restart repeats neither")
  func story() async throws {
    let bed = try MessageBed()
    try await bed.harness.createDatabase()
    let configuration = bed.configuration(NotificationSetup(channels: [try bed.hook()]))
    try await bed.harness.withAgent(configuration) { _ in
      try await bed.waitUntilSaved()
      try await bed.raise()
      await bed.pass(seconds: 89)
      #expect(bed.messages.isEmpty)
      await bed.pass(seconds: 2)
      try await bed.wait(for: 1)
    }
    try await bed.harness.withAgent(configuration) { _ in
      try await bed.harness.eventually("an alarm") { await bed.alarms().contains("missing") }
      await bed.pass(seconds: 200)
      await bed.pass(seconds: 200)
      try await bed.end()
      try await bed.harness.eventually("no pending change") {
        await bed.harness.control.status().first?.trigger.state == .idle
      }
      await bed.pass(seconds: 61)
      try await bed.wait(for: 2)
    }
    let messages = bed.messages
    #expect(messages.map { $0.text("event") } == ["alarm", "recovery"])
    #expect(messages[0].text("summary")?.hasPrefix("app: ") == true, "\(messages[0])")
    #expect(messages[0].text("text")?.contains("✗ app: Not protected since ") == true)
    #expect(messages[1].text("text")?.contains("✓ app: Everything is saved.") == true, "\(messages[1])")
  }

  @Test("A channel that fails is an alarm, which the other channel reports; the next message ends it")
  func failingChannel() async throws {
    let bed = try MessageBed()
    try await bed.harness.createDatabase()
    let broken = bed.harness.folder.path("broken")
    try Data().write(to: URL(filePath: broken))
    let bad = try bed.hook("test ! -e \(broken) || { echo no way >&2; exit 7; }", name: "bad")
    let configuration = bed.configuration(NotificationSetup(channels: [bad, try bed.hook()]))
    try await bed.harness.withAgent(configuration) { _ in
      try await bed.waitUntilSaved()
      try await bed.raise()
      await bed.pass(seconds: 91)
      try await bed.harness.eventually("the alarm") { await bed.alarms().contains("notification_failed") }
      try await bed.harness.eventually("a message about the channel") {
        await bed.pass(seconds: 400)
        try await Task.sleep(for: .milliseconds(200))
        return bed.messages.contains {
          $0.text("text")?.contains("messages by bad are not accepted: sh ended with") == true
        }
      }
      try FileManager.default.removeItem(atPath: broken)
      try await bed.harness.eventually("no alarm") {
        await bed.pass(seconds: 700)
        try await Task.sleep(for: .milliseconds(200))
        return await !bed.alarms().contains("notification_failed")
      }
      try await bed.end()
    }
  }

  @Test("A receiver that never answers delays no backup, and the agent ends beside it")
  func slowReceiver() async throws {
    let bed = try MessageBed()
    try await bed.harness.createDatabase()
    let configuration = bed.configuration(NotificationSetup(channels: [try bed.hook("sleep 1000")]))
    try await bed.harness.withAgent(configuration) { _ in
      try await bed.waitUntilSaved()
      try await bed.raise()
      await bed.pass(seconds: 91)
      try await bed.end()
      for count in 1...3 {
        try await bed.harness.python("c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (1)'); c.commit()")
        try await bed.harness.waitForRows(Int64(count))
      }
    }
    #expect(bed.messages.isEmpty)
  }

  @Test("A reload adds a channel, which learns of the alarms that last, and removes one")
  func reload() async throws {
    let bed = try MessageBed()
    try await bed.harness.createDatabase()
    let none = bed.configuration(NotificationSetup())
    let one = bed.configuration(NotificationSetup(channels: [try bed.hook()]))
    let isReloaded = Atomic(false)
    try await bed.harness.withAgent(none, reload: { isReloaded.load(ordering: .relaxed) ? none : one }) { _ in
      try await bed.waitUntilSaved()
      try await bed.raise()
      bed.harness.control.reload()
      try await bed.harness.log.wait(for: "the configuration was reloaded")
      await bed.pass(seconds: 91)
      try await bed.wait(for: 1)
      isReloaded.store(true, ordering: .relaxed)
      bed.harness.control.reload()
      try await bed.harness.eventually("two reloads") {
        bed.harness.log.lines.count { $0.contains("the configuration was reloaded") } == 2
      }
      try await bed.end()
      await bed.pass(seconds: 500)
    }
    #expect(bed.messages.map { $0.text("event") } == ["alarm"])
  }

  @Test("If a reload puts another database into the place of one with an alarm, the alarm is over")
  func successor() async throws {
    let bed = try MessageBed()
    try await bed.harness.createDatabase()
    let first = bed.configuration(NotificationSetup(channels: [try bed.hook()]))
    var other = first
    other.databases[0].engine = Engine(
      database: bed.harness.database + ".away", folder: bed.harness.backups,
      credentials: bed.harness.engine.credentials, environment: first.databases[0].engine.environment)
    let second = other
    try await bed.harness.withAgent(first, reload: { second }) { _ in
      try await bed.waitUntilSaved()
      try await bed.raise()
      await bed.pass(seconds: 91)
      try await bed.wait(for: 1)
      bed.harness.control.reload()
      try await bed.harness.eventually("the other database") {
        await bed.harness.control.status().first?.path.hasSuffix(".away") == true
      }
      await bed.pass(seconds: 61)
      try await bed.wait(for: 2)
    }
    #expect(bed.messages.map { $0.text("event") } == ["alarm", "recovery"])
  }

  @Test("The report comes at its time, once a day, with the state and the figures of each database")
  func report() async throws {
    let bed = try MessageBed.beforeMinute()
    try await bed.harness.createDatabase()
    var channel = try bed.hook()
    let minute = bed.harness.engine.environment.now().adding(seconds: 60).milliseconds / 60_000
    channel.settings.report = try CronSchedule("\(minute % 60) \(minute / 60 % 24) * * *")
    try await bed.harness.withAgent(bed.configuration(NotificationSetup(channels: [channel]))) { _ in
      try await bed.waitUntilSaved()
      #expect(bed.messages.isEmpty)
      try await bed.wait(for: 1)
    }
    // The next agent knows that it was sent.
    try await bed.harness.withAgent(bed.configuration(NotificationSetup(channels: [channel]))) { _ in
      try await Task.sleep(for: .seconds(1))
    }
    #expect(bed.messages.map { $0.text("event") } == ["report"])
    let text = try #require(bed.messages.first?.text("text"))
    #expect(text.hasPrefix("report: app needs nothing\n"), "\(text)")
    for part in [
      "✓ app: Everything is saved.", "    Proven: never", "    Stored: 1 backup, ", "    In the last 24 h: 1 ",
    ] {
      #expect(text.contains(part), "\(text)")
    }
  }

  @Test("The facts that receivers know are read back from the file as they were")
  func file() throws {
    let bed = try MessageBed()
    let channel = try bed.hook()
    let file = NotificationFile(of: channel, owner: "/backups", bed.harness.engine.environment)
    #expect(file.load() == NotificationMemory())
    var memory = NotificationMemory()
    let key = OpenAlarm.Key(database: "ä\u{301}", kind: "disk_full", subject: "s3")
    let time = Timestamp(milliseconds: 1_700_000_000_123)
    memory.told = [OpenAlarm(key, since: time, message: "full", hint: nil)]
    (memory.thread, memory.sent, memory.ends, memory.lastReport) = ("msg_1", [time], [key: [time]], time)
    memory.lastAlarmNotice = time
    file.save(memory, bed.harness.log.logger)
    #expect(file.load() == memory)
    let other = NotificationFile(of: channel, owner: "/others", bed.harness.engine.environment)
    #expect(other.load() == NotificationMemory())
    // A file of an earlier version.
    let text = #"{"version":1,"sent":["2023-11-14T22:13:20.123Z"]}"#
    let older = NotificationMemory(JSONValue(parsing: Array(text.utf8)))
    #expect(older?.sent == [time] && older?.lastAlarmNotice == nil)
  }
}

@Suite("Heartbeat of the agent", .ownThread)
struct AgentHeartbeatTests {
  /// A receiver that keeps paths and bodies: Tests/Fixtures/webhook_server.py.
  private final class Receiver {
    let process: ProcessInBackground
    let url: String

    /// - Parameter kind: how it answers.
    init(_ kind: String = "ok") throws {
      process = try ProcessInBackground("python3", ["\(projectFolder)/Tests/Fixtures/webhook_server.py"])
      try process.waitForLine("ready")
      let port = process.lines.first?.split(separator: " ").last ?? ""
      url = "http://127.0.0.1:\(port)/\(kind)/key?x=1"
    }

    var requests: [(path: String, body: String)] {
      process.lines.compactMap { line in
        guard case .object(let keys)? = JSONValue(parsing: Array(line.utf8)) else { return nil }
        return (keys.text("path") ?? "", keys.text("body") ?? "")
      }
    }
  }

  @Test("It comes each 5 minutes with the newest backup, as a failure with the reason while an alarm counts")
  func signals() async throws {
    let bed = try MessageBed()
    let receiver = try Receiver()
    try await bed.harness.createDatabase()
    let setup = NotificationSetup(heartbeat: Heartbeat(url: receiver.url))
    try await bed.harness.withAgent(bed.configuration(setup)) { _ in
      try await bed.waitUntilSaved()
      let newest = try #require(try bed.harness.points().last)
      await bed.pass(seconds: 31)
      try await bed.harness.eventually("a sign of life") { receiver.requests.count == 1 }
      #expect(receiver.requests[0].path == "/ok/key?x=1")
      #expect(receiver.requests[0].body.contains("app: number 1, \(newest.id), \(newest.created.iso8601)"))
      await bed.pass(seconds: 290)
      #expect(receiver.requests.count == 1)
      try await bed.raise()
      // The alarm counts after a minute of the wall clock, which is not moved here.
      try await bed.harness.eventually("the first reason") {
        await bed.pass(seconds: 301)
        try await Task.sleep(for: .seconds(1))
        return receiver.requests.last?.path == "/ok/key/fail?x=1"
      }
      #expect(receiver.requests.last?.body.contains("app: there is no database ") == true)
      try await bed.end()
      let count = receiver.requests.count
      await bed.pass(seconds: 301)
      try await bed.harness.eventually("a sign of life") { receiver.requests.count > count }
      #expect(receiver.requests.last?.path == "/ok/key?x=1")
    }
  }

  @Test("Signs of life that are refused twice are an alarm, which the first that is accepted ends")
  func refusals() async throws {
    let bed = try MessageBed()
    let receiver = try Receiver("twice")
    try await bed.harness.createDatabase()
    let setup = NotificationSetup(heartbeat: Heartbeat(url: receiver.url))
    try await bed.harness.withAgent(bed.configuration(setup)) { _ in
      try await bed.waitUntilSaved()
      await bed.pass(seconds: 31)
      try await bed.harness.log.wait(for: "the heartbeat was not sent")
      #expect(await bed.alarms().isEmpty)
      await bed.pass(seconds: 61)
      try await bed.harness.eventually("the alarm") { await bed.alarms() == ["heartbeat_failed"] }
      await bed.pass(seconds: 61)
      try await bed.harness.eventually("no alarm") { await bed.alarms().isEmpty }
      #expect(receiver.requests.map(\.path) == Array(repeating: "/twice/key?x=1", count: 3))
    }
  }

  @Test("A scheduled backup and a drill send their start and their end with one ID", arguments: [false, true])
  func runs(ofDrill: Bool) async throws {
    let bed = try MessageBed.beforeMinute()
    let receiver = try Receiver()
    try await bed.harness.createDatabase()
    var configuration = bed.configuration(NotificationSetup(heartbeat: Heartbeat(url: receiver.url)))
    let eachMinute = [try CronSchedule("* * * * *")]
    if ofDrill {
      configuration.databases[0].settings.drills.schedules = eachMinute
    } else {
      configuration.databases[0].settings.triggers.mode = .hybrid
      configuration.databases[0].settings.triggers.schedules = eachMinute
    }
    try await bed.harness.withAgent(configuration) { _ in
      try await bed.waitUntilSaved()
      try await bed.harness.eventually("a start and an end") {
        receiver.requests.contains { $0.path.contains("/start?") }
          && receiver.requests.contains { $0.path.hasPrefix("/ok/key?x=1&rid=") }
      }
    }
    let runs = receiver.requests.map(\.path).compactMap { $0.split(separator: "rid=").dropFirst().first }
    #expect(runs.count >= 2 && runs[0] == runs[1] && runs[0].count == 36)
  }

  @Test("After a failed drill no sign of life follows while its alarm lasts, however young it is")
  func failedDrill() async throws {
    let bed = try MessageBed.beforeMinute()
    let receiver = try Receiver()
    try await bed.harness.createDatabase()
    var configuration = bed.configuration(NotificationSetup(heartbeat: Heartbeat(url: receiver.url)))
    configuration.databases[0].settings.drills.schedules = [try CronSchedule("* * * * *")]
    try await bed.harness.withAgent(configuration) { _ in
      try await bed.waitUntilSaved()
      let archive = "\(bed.harness.backups)/\(try #require(try bed.harness.points().last).filename)"
      var bytes = try Data(contentsOf: URL(filePath: archive))
      bytes[bytes.count / 2] ^= 1
      try bytes.write(to: URL(filePath: archive))
      try await bed.harness.eventually("a failed drill") {
        receiver.requests.contains { $0.path.hasPrefix("/ok/key/fail?x=1&rid=") }
      }
      let count = receiver.requests.count
      await bed.pass(seconds: 301)
      try await bed.harness.eventually("the next signal") { receiver.requests.count > count }
      #expect(receiver.requests[count].path == "/ok/key/fail?x=1", "\(receiver.requests.map(\.path))")
    }
  }

  @Test("The words of a signal go between the path and the query, and a body has at most 10 kB")
  func forms() throws {
    let plain = Heartbeat(url: "https://hc.test/u/")
    #expect(plain.url(of: .success) == "https://hc.test/u" && plain.url(of: .failure) == "https://hc.test/u/fail")
    #expect(plain.url(of: .start, run: "r1") == "https://hc.test/u/start?rid=r1")
    #expect(Heartbeat(url: "https://hc.test/u?a=b").url(of: .success, run: "r1") == "https://hc.test/u?a=b&rid=r1")
    var facts = StateFacts(name: "app", path: "/app.db", watch: .events)
    let id = try #require(PointID("backup_20261122_140322"))
    facts.newest = .init(id: id, created: Timestamp(milliseconds: 1_732_284_202_250), sequence: 41)
    #expect(
      Heartbeat.body([facts], reasons: [], host: "h")
        == "holdfast on h\napp: number 41, backup_20261122_140322, 2024-11-22T14:03:22.250Z\n")
    let body = Heartbeat.body([], reasons: Array(repeating: "a\nb", count: 10_000), host: "h")
    #expect(body.utf8.count < 10_000 && body.contains("a\\nb\n"))
  }
}
