import BackupEngine
import BackupPolicy
import TestSupport
import Testing

/// A compaction that knows the rules of retention.
@Suite("Compaction and the calendar", .ownThread)
struct CompactPromiseTests {
  private let bed: TestBed
  private let points: [PointMetadata]
  private let daily: RetentionPolicy

  /// A full and two changes on 16 November, and two changes on each of the next two days.
  init() throws {
    bed = try TestBed()
    var points = try bed.makeChain(.key, .change(), incrementals: 2)
    for day in 1...2 {
      bed.time.advance(seconds: 86400)
      for part in 1...2 {
        try bed.change("UPDATE marker SET text = 'day \(day), \(part)'")
        points.append(try bed.storeIncremental(.key, .change()))
      }
    }
    self.points = points
    var daily = RetentionPolicy()
    daily.rules.keepDaily = 30
    self.daily = daily
  }

  /// A full of another chain, so that the newest point is not in the first one.
  private func beginChain(encrypt: Bool = true) throws -> PointMetadata {
    try bed.change("UPDATE marker SET text = 'another chain'")
    return try bed.engine().create(.change(encrypt: encrypt))
  }

  @Test("The last point of each day stays, restores to the same bytes, and takes over the others")
  func days() throws {
    let before = try points.map { try bed.restored($0.id) }
    let full = try beginChain()
    bed.time.advance(seconds: 20 * 86400)
    // By both: the plan that is shown and the run.
    let plan = try bed.engine().planCompaction(CompactionPolicy(), keeping: daily)
    let outcome = try bed.engine().compact(CompactionPolicy(), keeping: daily)
    #expect(outcome.done.map(\.step) == plan.steps && outcome.skipped.isEmpty)
    // The last of the newest day is the full of the other chain.
    #expect(plan.kept.map(\.id) == [points[2].id, points[4].id] && outcome.kept == plan.kept)
    #expect(plan.kept.allSatisfy { $0.reasons == ["the last of its day (keep_daily 30)"] })
    #expect(try bed.engine().list().map(\.id) == [full, points[4], points[2], points[0]].map(\.id))
    for number in [2, 4] {
      let restored = try (bed.restored(points[number].id), bed.recovered(points[number].id))
      #expect(restored == (before[number], before[number]))
    }
    #expect(try bed.engine().cleanup(daily).remove.isEmpty)
    #expect(try bed.engine().compact(CompactionPolicy(), keeping: RetentionPolicy(keepLast: 9)).done.count == 1)
    #expect(try bed.engine().list().map(\.id) == [full.id, points[0].id])
  }

  private let other = Credentials(key: SecretBytes([UInt8](repeating: 9, count: 32)))

  /// The end of a chain is removed without being read, so that only this check keeps it.
  @Test("With another key no rule can read a point, and no point is removed")
  func wrongKey() throws {
    _ = try beginChain()
    bed.time.advance(seconds: 20 * 86400)
    let wrong = #expect(throws: HoldfastError.self) {
      try bed.engine(other).compact(CompactionPolicy(), keeping: daily)
    }
    #expect(wrong?.code == .wrongKey)
    #expect(try bed.engine().list().count == 8)
  }

  @Test("A point that no rule can read stays, though the rules read others")
  func unseen() throws {
    _ = try beginChain(encrypt: false)
    bed.time.advance(seconds: 20 * 86400)
    let outcome = try bed.engine(other).compact(CompactionPolicy(), keeping: daily)
    #expect(outcome.done.isEmpty && outcome.kept.map(\.id) == points.dropFirst().map(\.id))
    #expect(outcome.kept.allSatisfy { $0.reasons == ["it cannot be opened, so no rule can judge it"] })
    #expect(try bed.engine().list().count == 8)
  }
}
