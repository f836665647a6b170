import BackupPolicy
import TestSupport
import Testing

@testable import Wording

@Suite("The answer to status --why")
struct PastStateTests {
  private static let now = Timestamp(iso8601: "2026-11-22T16:00:00Z") ?? Timestamp(milliseconds: 0)

  private func time(_ text: String) -> Timestamp { Timestamp(iso8601: "2026-11-22T\(text)Z") ?? Self.now }

  private func entry(_ first: String, _ kind: String, _ reason: String, to last: String? = nil, _ count: Int = 1)
    -> DecisionJournal.Entry
  {
    .init(first: time(first), last: time(last ?? first), count: count, kind: kind, reason: reason)
  }

  private func backup(_ text: String) -> StateFacts.Backup? {
    PointID("backup_20261122_\(text.filter { $0 != ":" })").map { .init(id: $0, created: time(text)) }
  }

  /// The sentence about 15:03:00, with a backup of 15:00:00 before it.
  private func sentence(
    _ entries: [DecisionJournal.Entry], before: String? = "15:00:00", after: String? = nil, agent: String? = "14:00:00",
    _ change: (inout StateFacts) -> Void = { _ in }
  ) -> String {
    var facts = StateFacts(name: "shop", path: "/srv/shop.db", watch: agent == nil ? .gone : .events)
    facts.newest = (after ?? before).flatMap(backup)
    change(&facts)
    return PastState(
      at: time("15:03:00"), facts, before: before.flatMap(backup), after: after.flatMap(backup),
      DecisionJournal(entries), agentStart: agent.map(time), Times(now: Self.now, zone: .utc)
    ).sentence
  }

  @Test("A pause is the reason until its end, and not after it")
  func pause() {
    let paused = [
      entry("15:01:00", "notice", "paused until 15:06"),
      entry("15:02:00", "wait", "the end of the pause at 15:06 (holdfast pause)"),
    ]
    #expect(
      sentence(paused, after: "15:06:01")
        == "Nothing was backed up at 15:03:00: paused until 15:06 (holdfast pause). "
        + "The next backup is backup_20261122_150601, 15:06:01.")
    #expect(sentence(paused + [entry("15:02:30", "notice", "the pause was ended")]).contains("had to wait"))
    #expect(sentence([paused[0]], agent: "15:02:00").contains("holds the state of 15:03:00"))
  }

  @Test("A failure, a wait and an alarm are reasons")
  func reasons() {
    let wait = entry("15:02:00", "wait", "the interval between two backups")
    #expect(sentence([wait]).hasPrefix("Nothing was backed up at 15:03:00: a backup had to wait for the interval"))
    let failure = entry("15:01:00", "failure", "the backup failed (no_space): the disk of /backups is full")
    #expect(
      sentence([failure, wait])
        == "Nothing was backed up at 15:03:00: the backup failed (no_space): the disk of /backups is full. "
        + "There is no backup since then.")
    let missing = sentence([]) {
      $0.alarms = [
        .init(kind: "missing", since: time("15:02:10"), message: "no database", hint: nil, stopsBackups: true)
      ]
    }
    #expect(missing.hasPrefix("Nothing was backed up at 15:03:00: no database, since 15:02:10."))
    let unseen = sentence([], agent: nil) { $0.unseenWrite = time("15:02:00") }
    #expect(unseen.contains("the database was written at 15:02:00, and no agent answers"))
  }

  @Test("A decision before the newest backup explains nothing later")
  func held() {
    let old = entry("14:59:59", "start change", "changed, then quiet for 500 ms")
    #expect(
      sentence([old]) == "backup_20261122_150000 of 15:00:00 holds the state of 15:03:00: no later change is known.")
    #expect(sentence([old], after: "15:30:00", agent: nil).hasSuffix("so later changes are not known."))
    #expect(sentence([], before: nil, after: "15:30:00").hasPrefix("There was no backup at 15:03:00. The first one is"))
    #expect(sentence([], before: nil) == "There is no backup yet.")
  }

  @Test("A backup that had begun")
  func running() {
    let start = entry("15:02:59", "start manual", "asked for")
    #expect(
      sentence([start], after: "15:03:01")
        == "A backup began at 15:02:59 (asked for); the next stored one is backup_20261122_150301, 15:03:01.")
    #expect(sentence([start]).hasSuffix("the backup that began at 15:02:59 found no change."))
  }

  @Test("Decisions in turns have one span, and the nearest lines are shown")
  func lines() {
    let times = Times(now: Self.now, zone: .utc)
    let turns = [
      entry("15:00:00", "wait", "quiet after a change", to: "15:04:00", 200),
      entry("15:00:01", "start change", "changed", to: "15:04:01", 200),
      entry("15:02:00", "notice", "the settings were reloaded"), entry("15:05:00", "skip", "nothing"),
    ]
    #expect(
      DecisionLines(turns, times).lines(nearest: time("15:03:00")) == [
        "15:00:00 to 15:04:01, in turns:", "  200 times  wait: quiet after a change",
        "  200 times  start change: changed", "  15:02:00  notice: the settings were reloaded",
        "15:05:00  skip: nothing",
      ])
    let many = (0..<40).map { entry("15:\(10 + $0):00", "skip", "reason \($0)") }
    let shown = DecisionLines(many, times).lines(nearest: time("15:20:00"))
    #expect(shown.count == DecisionLines.limit + 2)
    #expect(shown.contains { $0.hasPrefix("15:20:00") } && shown.last == "… 24 later entries: --json lists all")
  }

  @Test("A long text is cut after a word")
  func cut() {
    #expect("a full disk".shortened(toBytes: 20) == "a full disk")
    #expect("a full disk of backups".shortened(toBytes: 14) == "a full disk…")
    #expect("ääää".shortened(toBytes: 5) == "ää…")
  }
}
