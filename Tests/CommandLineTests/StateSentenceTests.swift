import BackupPolicy
import TestSupport
import Testing

@testable import Wording

@Suite("The sentence about the state of a database")
struct StateSentenceTests {
  private static let now = Timestamp(iso8601: "2026-11-22T14:03:30Z") ?? Timestamp(milliseconds: 0)

  private func facts(
    _ watch: StateFacts.Watch = .events, newest: String? = "2026-11-22T14:03:22Z",
    _ change: (inout StateFacts) -> Void = { _ in }
  ) -> StateFacts {
    var facts = StateFacts(name: "shop", path: "/srv/shop.db", watch: watch)
    facts.newest = newest.flatMap { Timestamp(iso8601: $0) }.flatMap { time in
      PointID("backup_20261122_140322").map { StateFacts.Backup(id: $0, created: time) }
    }
    change(&facts)
    return facts
  }

  private func sentence(_ facts: StateFacts) -> StateSentence { StateSentence(facts, at: Self.now, in: .utc) }

  private func time(_ text: String) -> Timestamp? { Timestamp(iso8601: "2026-11-22T\(text)Z") }

  @Test("All is saved")
  func saved() {
    let today = sentence(facts())
    #expect(today.tone == .good && today.text == "Everything is saved. Newest backup 14:03:22, 8 s ago.")
    let earlier = sentence(facts(newest: "2026-11-19T09:12:00Z"))
    #expect(earlier.text == "Everything is saved. Newest backup 2026-11-19 09:12:00, 3 days ago.")
    #expect(sentence(facts(.nobody)).tone == .good)
    #expect(sentence(facts(.gone)).tone == .attention)
  }

  @Test("A change that waits is busy for a minute, and then needs attention")
  func pending() {
    let new = sentence(facts { ($0.unprotectedSince, $0.waitingFor) = (time("14:03:25"), "quiet after a change") })
    #expect(new.tone == .busy)
    #expect(new.text == "Changes since 14:03:25 wait for their backup, for quiet after a change.")
    #expect(sentence(facts { $0.unprotectedSince = time("14:01:00") }).tone == .attention)
    #expect(
      sentence(facts { ($0.unprotectedSince, $0.isRunning) = (time("14:03:25"), true) }).text
        == "Changes since 14:03:25 are being saved.")
  }

  @Test("Pending work hides no alarm that does not stop backups")
  func pendingBesideAlarm() {
    let alarm = StateFacts.Alarm(
      kind: "drill_failed", since: Self.now, message: "the last drill failed", hint: "holdfast drill",
      stopsBackups: false)
    let busy = sentence(facts { ($0.alarms, $0.unprotectedSince, $0.isRunning) = ([alarm], time("14:03:25"), true) })
    #expect(busy.tone == .attention && busy.hint == "holdfast drill")
    #expect(busy.text == "Changes since 14:03:25 are being saved. But the last drill failed.")
    let waiting = sentence(
      facts { ($0.alarms, $0.unprotectedSince, $0.heldUntil) = ([alarm], time("14:00:00"), time("18:00:00")) })
    #expect(waiting.tone == .attention && waiting.text.hasSuffix("at 18:00:00. But the last drill failed."))
  }

  @Test("A database that is refused is never called saved, although its folder has backups of another one")
  func refusal() {
    let refused = facts { ($0.refusal, $0.problemHint) = ("another one has its name", "rename it") }
    #expect(sentence(refused).tone == .bad && sentence(refused).hint == "rename it")
    #expect(sentence(refused).text == "It is not backed up: another one has its name.")
    #expect(StateCheck([refused], maxAge: 3600, at: Self.now, in: .utc).verdict == .critical)
  }

  @Test("An alarm that stops backups comes before all else, with its hint")
  func alarm() {
    let alarm = StateFacts.Alarm(
      kind: "disk_full", since: Self.now, message: "the disk of /backups is full", hint: "free some space",
      stopsBackups: true)
    let bad = sentence(facts { ($0.alarms, $0.unprotectedSince) = ([alarm], time("13:40:02")) })
    #expect(bad.tone == .bad && bad.hint == "free some space")
    #expect(
      bad.text
        == "Not protected since 13:40:02: the disk of /backups is full. The backups up to 14:03:22 remain.")
    var target = alarm
    (target.stopsBackups, target.message) = (false, "target s3 is behind")
    #expect(sentence(facts { $0.alarms = [target] }).tone == .attention)
  }

  @Test("A write that nobody saw is never called saved")
  func unseen() {
    #expect(sentence(facts { $0.unseenWrite = time("14:03:28") }).tone == .busy)
    let blind = sentence(facts { $0.unseenWrite = time("14:03:00") })
    #expect(blind.tone == .bad && blind.text.hasSuffix("and the agent has not seen it."))
    let alone = sentence(facts(.nobody) { $0.unseenWrite = time("14:03:28") })
    #expect(alone.tone == .attention && alone.text.contains("no agent is running"))
  }

  @Test("If the agent polls, a write is unseen only after the next poll")
  func polls() {
    let fresh = sentence(facts(.polls(interval: 30_000)) { $0.unseenWrite = time("14:02:55") })
    #expect(fresh.tone == .busy)
    #expect(sentence(facts(.polls(interval: 30_000)) { $0.unseenWrite = time("14:02:45") }).tone == .bad)
    #expect(sentence(facts(.polls(interval: 30_000))).text.hasSuffix("Changes are looked for every 30 s."))
    #expect(sentence(facts(.polls(interval: 1000))).text.hasSuffix("Changes are looked for each second."))
  }

  @Test("If only the schedule starts backups, a change may wait for its run, but not after it")
  func scheduled() {
    let change: (inout StateFacts) -> Void = {
      ($0.unprotectedSince, $0.waitsForRun, $0.nextRun) = (time("11:00:00"), true, time("18:00:00"))
    }
    let waits = sentence(facts(.events, change))
    #expect(waits.tone == .good && waits.text == "Changes since 11:00:00 are saved by the run at 18:00:00.")
    var late = facts(.events, change)
    late.nextRun = time("14:00:00")
    #expect(sentence(late).tone == .attention)
    late.nextRun = nil
    #expect(sentence(late).tone == .attention)
  }

  @Test("A change that waits by design is OK, and counts from the end of that wait")
  func planned() {
    func check(_ change: @escaping (inout StateFacts) -> Void) -> StateCheck.Verdict {
      StateCheck([facts(.events, change)], maxAge: 3600, at: Self.now, in: .utc).verdict
    }
    let quiet = facts { ($0.unprotectedSince, $0.heldUntil) = (time("11:00:00"), time("15:00:00")) }
    #expect(sentence(quiet).tone == .good)
    #expect(sentence(quiet).text == "Changes since 11:00:00 are saved after the quiet hours, at 15:00:00.")
    #expect(check { ($0.unprotectedSince, $0.heldUntil) = (time("11:00:00"), time("15:00:00")) } == .ok)
    #expect(
      check { ($0.unprotectedSince, $0.waitsForRun, $0.nextRun) = (time("11:00:00"), true, time("18:00:00")) } == .ok)
    // The backup after the wait runs, and then runs for too long.
    for (end, verdict) in [("14:00:00", StateCheck.Verdict.ok), ("13:00:00", .critical)] {
      #expect(
        check { ($0.unprotectedSince, $0.heldUntil, $0.isRunning) = (time("11:00:00"), time(end), true) } == verdict)
    }
    #expect(
      check {
        ($0.unprotectedSince, $0.heldUntil, $0.pausedUntil) = (time("11:00:00"), time("15:00:00"), time("16:00:00"))
      } == .critical)
  }

  @Test("Times in messages are by the reader's clock, and a message is not cut in a word")
  func times() {
    let alarm = StateFacts.Alarm(
      kind: "target_behind", since: Self.now, message: "target s3: the oldest since 2026-11-22T13:04:49.701Z; late",
      hint: nil, stopsBackups: false)
    #expect(sentence(facts { $0.alarms = [alarm] }).text.contains("the oldest since 13:04:49; late."))
    let silent = sentence(facts(.silent("process 5"))).text
    #expect(silent.contains("The agent (process 5) does not answer, so it is not known whether"))
  }

  @Test("If the folder of backups is away, nothing is said to remain there, and that is critical")
  func away() {
    let alarm = StateFacts.Alarm(
      kind: "failing", since: Self.now, message: "the backups are not there", hint: "mount the disk", stopsBackups: true
    )
    let agent = sentence(facts { ($0.alarms, $0.isRepositoryAway) = ([alarm], true) })
    #expect(agent.text.hasSuffix("not there. The newest backup was made at 14:03:22.") && agent.hint == alarm.hint)
    let alone = facts(.nobody, newest: nil) {
      ($0.problem, $0.problemHint, $0.isRepositoryAway) = ("not there", "mount the disk", true)
    }
    #expect(sentence(alone).hint == "mount the disk")
    #expect(StateCheck([alone], maxAge: 3600, at: Self.now, in: .utc).verdict == .critical)
  }

  @Test("Without a backup, with a silent agent, and in a pause")
  func others() {
    #expect(sentence(facts(.events, newest: nil)).tone == .bad)
    #expect(sentence(facts(.events, newest: nil) { $0.isRunning = true }).tone == .busy)
    #expect(sentence(facts(.silent("process 5"))).tone == .bad)
    let paused = sentence(facts { $0.pausedUntil = time("16:00:00") })
    #expect(paused.tone == .attention && paused.text == "Paused until 16:00:00. Everything is saved so far.")
  }

  @Test("The verdict of --check")
  func check() {
    func verdict(_ facts: StateFacts...) -> StateCheck {
      StateCheck(facts, maxAge: 3600, at: Self.now, in: .utc)
    }
    #expect(verdict(facts()).verdict == .ok)
    #expect(verdict(facts()).line.hasPrefix("HOLDFAST OK - shop: Everything is saved."))
    #expect(verdict(facts()).line.hasSuffix("| 'shop_unprotected'=0s;;3600;0"))
    #expect(verdict(facts { $0.unprotectedSince = time("14:00:00") }).verdict == .ok)
    #expect(verdict(facts(), facts { $0.unprotectedSince = time("13:00:00") }).verdict == .critical)
    #expect(verdict(facts(.nobody) { $0.unseenWrite = time("12:00:00") }).verdict == .critical)
    #expect(verdict(facts(.gone)).verdict == .warning)
    #expect(verdict(facts(newest: nil)).verdict == .critical)
    #expect(verdict(facts { $0.problem = "x | y" }).verdict == .unknown)
    #expect(verdict(facts { $0.problem = "x | y" }).line.split(separator: "|").count == 2)
    #expect(verdict().verdict == .unknown)
  }
}
