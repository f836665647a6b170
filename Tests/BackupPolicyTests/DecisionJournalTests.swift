import TestSupport
import Testing

@testable import BackupPolicy

@Suite struct DecisionJournalTests {
  private func time(_ seconds: Int64) -> Timestamp { Timestamp(milliseconds: 1_700_000_000_000 + seconds * 1000) }

  private func decision(_ seconds: Int64, _ kind: TriggerDecision.Kind, _ reason: String) -> TriggerDecision {
    TriggerDecision(time: time(seconds), kind: kind, reason: reason)
  }

  @Test func equalDecisionsInARowAreOneEntry() {
    var journal = DecisionJournal()
    for second in stride(from: Int64(0), to: 3600, by: 2) {
      journal.record(decision(second, .wait, "quiet after a change"))
      journal.record(decision(second + 1, .start(.change), "changed, then quiet for 500 ms"))
    }
    #expect(journal.entries.map(\.count) == [1800, 1800])
    #expect(journal.entries.map(\.first) == [time(0), time(1)])
    #expect(journal.entries.map(\.last) == [time(3598), time(3599)])
  }

  @Test func aLongerPauseIsVisible() {
    var journal = DecisionJournal()
    for second: Int64 in [0, 60, 121] { journal.record(decision(second, .start(.change), "changed")) }
    #expect(journal.entries.map(\.count) == [2, 1])
  }

  @Test func anotherReasonIsAnotherEntry() {
    var journal = DecisionJournal()
    journal.record(decision(0, .failure, "the backup failed (no_space)"))
    journal.record(decision(1, .failure, "the backup failed (busy)"))
    #expect(journal.entries.count == 2)
  }

  @Test func entriesAreKeptForAWeekAndBounded() {
    var journal = DecisionJournal()
    for number in 0..<10_000 { journal.record(decision(Int64(number), .skip, "reason \(number)")) }
    #expect(journal.entries.count == DecisionJournal.capacity)
    #expect(journal.entries.last?.reason == "reason 9999")
    journal.record(decision(9_000 + 7 * 86400, .skip, "later"))
    #expect(journal.entries.first?.reason == "reason 9000")
  }

  @Test func aClockThatIsSetBackEndsAnEntry() {
    var journal = DecisionJournal()
    journal.record(decision(100, .wait, "quiet"))
    journal.record(decision(10, .wait, "quiet"))
    #expect(journal.entries.map(\.first) == [time(100), time(10)])
  }

  @Test func theDecisionsAroundATimeIncludeTheLastBefore() {
    var journal = DecisionJournal()
    journal.record(decision(0, .wait, "the end of the quiet hours"))
    journal.record(decision(50, .notice, "the settings were reloaded"))
    journal.record(decision(4000, .start(.change), "held back by the quiet hours"))
    journal.record(decision(9000, .start(.change), "much later"))
    #expect(journal.around(time(3700)).map(\.reason) == ["the settings were reloaded", "held back by the quiet hours"])
    #expect(journal.around(time(-700)).isEmpty)
  }

  /// Measured by the number of entries, not by a clock: a day of writes must not fill the journal.
  @Test func aDayOfAWriterInATriggerMachineTakesFewEntries() {
    var machine = TriggerMachine()
    var journal = DecisionJournal()
    var known = 0
    var now: Int64 = 0
    func receive(_ event: TriggerEvent) -> TriggerAction {
      let action = machine.receive(event, at: Moment(wall: time(0).adding(.milliseconds(now)), monotonic: now))
      let (new, count) = machine.decisions(after: known)
      known = count
      for decision in new { journal.record(decision) }
      return action
    }
    _ = receive(.startup(changedWhileDown: false, lastScheduled: nil))
    while now < 86_400_000 {
      _ = receive(.change)
      now += 600
      if case .start = receive(.tick) {
        now += 5
        _ = receive(.finished(.stored))
      }
      now += 4_000
    }
    #expect(known > 30_000)
    #expect(journal.entries.count <= 4, "\(journal.entries.prefix(10))")
  }
}
