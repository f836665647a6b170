import BackupPolicy
import Testing
import Wording

@testable import Notifications

@Suite("Whether a sign of life may be sent")
struct HeartbeatVerdictTests {
  private let limits = HeartbeatVerdict.Limits(
    exposure: 900, lags: ["s3": LagPolicy(maxLag: 900, interval: 0)], drillAge: 86400)

  private func reasons(_ limits: HeartbeatVerdict.Limits? = nil, _ change: (inout StateFacts) -> Void) -> [String] {
    var facts = Messages.facts()
    change(&facts)
    return HeartbeatVerdict([(facts, limits ?? self.limits)], at: Messages.now, in: .utc).reasons
  }

  private func ago(_ seconds: Int64) -> Timestamp { Messages.now.adding(seconds: -seconds) }

  private func copy(since seconds: Int64) -> StateFacts.Copy {
    StateFacts.Copy(name: "s3", unsent: 2, unsentSince: ago(seconds), lastSuccess: nil, error: nil)
  }

  @Test("If nothing is wrong, there is no reason; the limits themselves are no reason either")
  func sound() {
    #expect(reasons { _ in } == [])
    #expect(
      reasons {
        ($0.unprotectedSince, $0.proved) = (ago(900), ago(86400))
        $0.copies = [copy(since: 900)]
      } == [])
  }

  @Test("A change that is in no backup is a reason after 15 minutes, also if only the files show it")
  func exposure() {
    #expect(reasons { $0.unprotectedSince = ago(901) } == ["shop: changes since 13:49:01 are in no backup"])
    #expect(reasons { $0.unseenWrite = ago(1000) }.count == 1)
  }

  @Test("A change that waits for a run or for the end of the quiet hours is no reason until then")
  func planned() {
    #expect(
      reasons {
        ($0.unprotectedSince, $0.waitsForRun, $0.nextRun) = (ago(50_000), true, ago(-3600))
      } == [])
    #expect(reasons { ($0.unprotectedSince, $0.heldUntil) = (ago(50_000), ago(-60)) } == [])
    #expect(reasons { ($0.unprotectedSince, $0.heldUntil) = (ago(50_000), ago(900)) } == [])
    #expect(
      reasons { ($0.unprotectedSince, $0.heldUntil) = (ago(901), ago(901)) }
        == ["shop: changes since 13:49:01 are in no backup"])
    // No run is planned for a write that the agent has not seen, nor in a pause.
    #expect(
      reasons {
        ($0.unseenWrite, $0.waitsForRun, $0.nextRun) = (ago(1000), true, ago(-3600))
      }.count == 1)
    #expect(
      reasons {
        ($0.unprotectedSince, $0.heldUntil, $0.pausedUntil) = (ago(1000), ago(-60), ago(-100_000))
      }.count == 1)
  }

  @Test("A match of a pattern that is not backed up is a reason at once")
  func refusal() {
    let facts = Messages.facts()
    let verdict = HeartbeatVerdict([(facts, limits)], refusals: ["b/app.db is not"], at: Messages.now, in: .utc)
    #expect(verdict.reasons == ["b/app.db is not"])
  }

  @Test("A target, a drill and an alarm are reasons with their own limits")
  func others() {
    #expect(reasons { $0.copies = [copy(since: 901)] }.first?.hasPrefix("shop: target s3: 2 backups") == true)
    #expect(reasons { $0.proved = ago(90_000) } == ["shop: the last passed drill is too old: 25 h ago"])
    #expect(reasons(.init(exposure: 900)) { $0.proved = ago(9_000_000) } == [])
    let alarm = { (seconds: Int64) in
      StateFacts.Alarm(kind: "locked", since: ago(seconds), message: "busy", hint: nil, stopsBackups: true)
    }
    #expect(reasons { $0.alarms = [alarm(299)] } == [] && reasons { $0.alarms = [alarm(300)] } == ["shop: busy"])
    var facts = Messages.facts()
    facts.alarms = [alarm(1)]
    #expect(HeartbeatVerdict([(facts, limits)], isPatient: false, at: Messages.now, in: .utc).reasons == ["shop: busy"])
  }

  @Test("A target with a long interval is behind as late as its alarm says")
  func interval() throws {
    let policy = LagPolicy(maxLag: 900, interval: 21_600_000)
    let limits = HeartbeatVerdict.Limits(exposure: 900, lags: ["s3": policy])
    #expect(reasons(limits) { $0.copies = [copy(since: 22_500)] } == [])
    #expect(reasons(limits) { $0.copies = [copy(since: 22_501)] }.count == 1)
    let id = try #require(PointID("backup_20261129_140001"))
    for seconds: Int64 in [22_500, 22_501] {
      let unsent = UnsentBackups(count: 2, oldest: id, since: ago(seconds))
      let isLate = policy.decide(unsent, now: Messages.now) != .within(unsent)
      #expect(isLate == (seconds > 22_500))
    }
  }

  @Test("If the clock was set back, a change and an alarm with a time in the future count at once")
  func clockSetBack() {
    #expect(reasons { $0.unprotectedSince = ago(-59) } == [])
    #expect(reasons { $0.unprotectedSince = ago(-3600) }.count == 1)
    #expect(reasons { $0.copies = [copy(since: -3600)] }.count == 1)
    let alarm = StateFacts.Alarm(
      kind: "missing", since: ago(-3600), message: "there is no database", hint: nil, stopsBackups: true)
    #expect(reasons { $0.alarms = [alarm] } == ["shop: there is no database"])
    var facts = Messages.facts()
    #expect(StateCheck([facts], maxAge: 3600, at: Messages.now, in: .utc).verdict == .ok)
    facts.unprotectedSince = ago(-3600)
    #expect(StateCheck([facts], maxAge: 3600, at: Messages.now, in: .utc).verdict == .critical)
    facts.unprotectedSince = ago(-30)
    #expect(StateCheck([facts], maxAge: 3600, at: Messages.now, in: .utc).verdict == .ok)
  }

  @Test("No backup at all is a reason, except while the agent starts")
  func nothing() {
    #expect(reasons { $0.newest = nil } == ["shop: nothing has been backed up yet"])
    #expect(
      reasons {
        $0.newest = nil
        $0.watch = .starting
      } == [])
  }
}
