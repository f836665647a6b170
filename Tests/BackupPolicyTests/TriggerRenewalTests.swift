import Testing

@testable import BackupPolicy

/// The time of the full that is advised for a large chain.
@Suite struct TriggerRenewalTests {
  private let second: Int64 = 1000
  private static let chain = PointID("backup_20231116_143022")!

  private func advice(_ urgency: FullAdvice.Urgency) -> FullAdvice {
    FullAdvice(urgency, chain: Self.chain, reason: "it is heavy")
  }

  /// A second a character; a change has been stored, and the advice came with it.
  private func diagram(
    _ urgency: FullAdvice.Urgency, outcomes: [Outcome] = [], at start: String = "2026-11-23 00:00:00",
    _ change: (inout TriggerSettings) throws -> Void = { _ in }
  ) throws -> TriggerDiagram {
    var settings = TriggerSettings()
    try change(&settings)
    var diagram = TriggerDiagram(settings, outcomes: [.stored] + outcomes)
    diagram.cell = second
    diagram.origin = TriggerTimes.utc(start)
    diagram.send(.startup(changedWhileDown: false, lastScheduled: nil))
    diagram.send(.change)
    diagram.advance(to: 600)
    diagram.send(.advised(advice(urgency)))
    diagram.advance(to: 900)
    return diagram
  }

  private func fulls(_ diagram: TriggerDiagram) -> [Int64] { diagram.starts.filter(\.isFull).map(\.time) }

  @Test func itWaitsForAMinuteOfQuietAndIsTakenOnce() throws {
    var diagram = try diagram(.whenQuiet)
    #expect(
      diagram.deadline?.monotonic == 60 * second && diagram.machine.status.waitingFor == "a quiet time, for a full")
    diagram.advance(to: 50 * second)
    diagram.send(.change)
    diagram.advance(to: 1000 * second)
    #expect(fulls(diagram) == [110 * second])
    #expect(diagram.starts.last?.reason == "a full after 1 min of quiet: it is heavy")
    // The end of the first backup, the change's debounce, and the quiet time; then the agent sleeps.
    #expect(diagram.wakes == 3 && diagram.deadline == nil && diagram.violations.isEmpty, "\(diagram)")
    let notices = diagram.machine.status.decisions.filter { $0.kind == .notice }
    #expect(notices.map(\.reason) == ["a full is due: it is heavy"])
  }

  /// Ten times the longest burst.
  @Test func quietIsLongerWhereBurstsAre() throws {
    var diagram = try diagram(.whenQuiet) { $0.maxDelay = 30000 }
    diagram.advance(to: 1000 * second)
    #expect(fulls(diagram) == [300 * second])
    #expect(FullAdvice.quiet(maxDelay: 0) == 60000 && FullAdvice.quiet(maxDelay: .max) == .max)
  }

  @Test func withoutAdviceThereIsNone() throws {
    var diagram = try diagram(.whenQuiet)
    diagram.send(.advised(nil))
    diagram.advance(to: 1000 * second)
    #expect(fulls(diagram).isEmpty && diagram.deadline == nil)
  }

  /// Changes continue as usual. A writer that never pauses delays a full without end, unless the
  /// full must not wait any longer.
  @Test(arguments: [FullAdvice.Urgency.whenQuiet, .soon]) func besideAWriterThatNeverPauses(urgency: FullAdvice.Urgency)
    throws
  {
    var diagram = try diagram(urgency)
    for _ in 0..<600 {
      diagram.advance(by: 300)
      diagram.send(.change)
    }
    #expect(fulls(diagram) == (urgency == .soon ? [1500] : []), "the floor after the change that was stored")
    let changes = diagram.starts.filter { !$0.isFull }.map(\.time)
    #expect(changes.count > 30 && zip(changes, changes.dropFirst()).allSatisfy { $1 - $0 < 7000 })
    #expect(diagram.violations.isEmpty, "\(diagram.violations)")
  }

  /// The change that was pending when the full began is in it.
  @Test func itCoversTheChange() throws {
    var diagram = try diagram(.soon) {
      $0.debounce = 10000; $0.maxDelay = 20000
    }
    diagram.advance(to: 12 * second)
    let before = diagram.starts.count
    diagram.send(.change)
    diagram.send(.advised(advice(.soon)))
    diagram.advance(to: 100 * second)
    #expect(diagram.starts.count == before + 1 && diagram.starts.last?.isFull == true)
  }

  @Test(arguments: [FullAdvice.Urgency.whenQuiet, .soon]) func quietHoursHoldItBack(urgency: FullAdvice.Urgency) throws
  {
    var diagram = try diagram(urgency, at: "2026-11-23 21:59:59") { $0.quietHours = try QuietHours("22:00-06:00") }
    diagram.advance(to: 12 * TriggerTimes.hour)
    #expect(diagram.starts.filter(\.isFull).map(\.wall) == [TriggerTimes.utc("2026-11-24 06:00:00")])
  }

  @Test func theFloorHoldsItBack() throws {
    var diagram = try diagram(.soon) { $0.minInterval = 100 * 1000 }
    diagram.advance(to: 1000 * second)
    #expect(fulls(diagram) == [100_500])
  }

  /// A full at three would be followed by another at half past.
  @Test func aScheduledFullWithinTheHourWillDo() throws {
    var diagram = try diagram(.whenQuiet, at: "2026-11-23 02:50:00") {
      $0.schedules = try TriggerTimes.schedules(["30 3 * * *"])
    }
    diagram.advance(to: 39 * TriggerTimes.minute)
    #expect(fulls(diagram).isEmpty)
    diagram.advance(to: 40 * TriggerTimes.minute)
    #expect(diagram.starts.last?.trigger == .scheduled)
    // It failed to end the chain: a point of another program came in between.
    diagram.advance(to: 45 * TriggerTimes.minute)
    #expect(fulls(diagram).count == 1)
    var far = try self.diagram(.whenQuiet, at: "2026-11-23 02:50:00") {
      $0.schedules = try TriggerTimes.schedules(["0 4 * * *"])
    }
    far.advance(to: 2 * TriggerTimes.minute)
    #expect(fulls(far) == [60 * second])
  }

  @Test func inModeScheduleTheSchedulesDo() throws {
    var diagram = TriggerDiagram(TriggerSettings(mode: .schedule))
    diagram.send(.startup(changedWhileDown: false, lastScheduled: nil))
    diagram.send(.advised(advice(.soon)))
    diagram.advance(to: TriggerTimes.day)
    #expect(diagram.starts.isEmpty && diagram.wakes == 0)
  }

  @Test func oneThatFailsIsTriedAgainAfterThePause() throws {
    var diagram = try diagram(.whenQuiet, outcomes: [.failed(.noSpace), .failed(.noSpace), .stored])
    diagram.advance(to: 1000 * second)
    #expect(fulls(diagram) == [60_000, 61_200, 63_400])
  }

  /// If the database is gone, repeated attempts would be useless.
  @Test func oneThatFindsNothingIsNotTriedAgain() throws {
    var diagram = try diagram(.whenQuiet, outcomes: [.unchanged])
    diagram.advance(to: 1000 * second)
    #expect(fulls(diagram).count == 1 && diagram.deadline == nil)
  }

  @Test func oneThatMadeWayComesAgain() throws {
    var diagram = try diagram(.whenQuiet, outcomes: [.yielded])
    diagram.advance(to: 1000 * second)
    #expect(fulls(diagram).count == 2)
  }
}
