import TestSupport
import Testing

@testable import BackupPolicy

@Suite("Plans after a take-over")
struct TakeOverPlanTests {
  /// A full and two changes, of which the target has the first two, and a take-over after all.
  private static func history() -> TargetHistory {
    var history = TargetHistory(TargetSettings(name: "nas", retention: RetentionPolicy(RetentionRules())))
    history.add(.scheduled, after: 1, full: true)
    history.add(.change, after: 60)
    #expect(history.sync() == nil)
    history.add(.change, after: 60)
    history.takenOverAt = 2
    return history
  }

  @Test("Nothing is written before a full, and older backups are not sent")
  func waits() {
    let plan = Self.history().plan
    #expect(plan.needsFull)
    #expect(plan.steps == [.stop(reason: "it was taken over, and a full backup comes first")])
    #expect(plan.owed.isEmpty && plan.unsent == nil)
    #expect(plan.skipped.map(\.reasons) == [["it is older than the take-over of the target"]])
  }

  @Test("The full and the changes on it are sent, and the older ones stay as they are")
  func goesOn() {
    var history = Self.history()
    history.add(.scheduled, after: 60, full: true)
    history.add(.change, after: 60)
    #expect(history.plan.puts.map { [$0.sequence, $0.parentSequence ?? -1] } == [[3, -1], [4, 3]])
    #expect(history.sync() == nil)
    #expect(history.plan.steps.isEmpty && !history.plan.needsFull)
  }

  @Test("A change that was stored meanwhile on an older backup is not sent")
  func race() {
    var history = Self.history()
    history.add(.change, after: 60)
    #expect(history.plan.needsFull && history.plan.owed.isEmpty)
  }
}

@Suite("When a target is listed early")
struct ContentDoubtTests {
  private let now = RetentionHistory.now

  @Test("A missing object is a reason at once, another failure is none")
  func certain() {
    var doubt = ContentDoubt()
    #expect(!doubt.needsList(since: nil, now: now))
    doubt.recordFailure(isAboutContent: false, at: now)
    #expect(!doubt.needsList(since: now, now: now.adding(seconds: 1)))
    doubt.recordFailure(isAboutContent: true, at: now)
    #expect(doubt.needsList(since: now, now: now.adding(seconds: 1)))
    doubt.clear()
    #expect(!doubt.needsList(since: now, now: now.adding(seconds: 1)))
  }

  @Test("After an outage of 10 minutes the target is listed, but not twice an hour")
  func outage() {
    var doubt = ContentDoubt()
    for seconds in [0, 300, 599] { doubt.recordFailure(isAboutContent: false, at: now.adding(seconds: Int64(seconds))) }
    let listed = now.adding(seconds: -7200)
    #expect(!doubt.needsList(since: listed, now: now.adding(seconds: 599)))
    #expect(doubt.needsList(since: listed, now: now.adding(seconds: 600)))
    #expect(!doubt.needsList(since: now.adding(seconds: -100), now: now.adding(seconds: 600)))
    #expect(doubt.needsList(since: nil, now: now.adding(seconds: 600)))
  }
}
