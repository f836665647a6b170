import BackupPolicy
import Testing

@Suite("Anomalies of a new point")
struct AnomalyPolicyTests {
  private static let mebibyte: Int64 = 1 << 20

  private static func content(
    _ used: Int64? = mebibyte, tables: Int64? = 4, marks: Set<UInt32> = [1, 2, 3, 4]
  ) -> PointContent {
    PointContent(usedBytes: used, tables: tables, tableMarks: marks)
  }

  private func decide(
    _ now: PointContent, after own: PointContent? = content(), _ change: (inout AnomalyFacts) -> Void = { _ in }
  ) -> [ContentAlarm] {
    var facts = AnomalyFacts(now)
    facts.own = own
    change(&facts)
    return AnomalyPolicy.decide(facts)
  }

  @Test("Ordinary work is not an anomaly, nor is a first point or one with little known content")
  func work() {
    #expect(decide(Self.content(Self.mebibyte * 9, tables: 9)).isEmpty)
    #expect(decide(Self.content(Self.mebibyte / 2, tables: 2)).isEmpty)
    #expect(decide(Self.content(0, tables: 0), after: nil).isEmpty)
    #expect(decide(Self.content(nil, tables: nil, marks: [])).isEmpty)
    #expect(decide(Self.content(1), after: Self.content(nil, tables: nil, marks: [])).isEmpty)
  }

  @Test("A loss since the point before is an anomaly")
  func losses() {
    let small = Self.mebibyte / 2 - 1
    #expect(decide(Self.content(small)) == [.shrunk(from: Self.mebibyte, to: small)])
    #expect(decide(Self.content(tables: 1)) == [.tablesLost(from: 4, to: 1)])
    #expect(decide(Self.content(4096, tables: 0, marks: [])) == [.emptied(tablesBefore: 4)])
    #expect(decide(Self.content(marks: [8, 9])) == [.unrelated])
    #expect(decide(Self.content(marks: [4, 9])).isEmpty)
  }

  @Test("A gradual loss is reported once, when it passes half of the chain's full")
  func slices() {
    let sizes: [Int64] = [100, 70, 51, 49, 30, 20].map { $0 * Self.mebibyte / 100 }
    let told = zip(sizes, sizes.dropFirst()).map { before, now in
      decide(Self.content(now), after: Self.content(before)) { $0.full = Self.content(sizes[0]) }
    }
    #expect(told.map(\.count) == [0, 0, 1, 0, 0])
    #expect(told[2] == [.shrunk(from: sizes[0], to: sizes[3])])
  }

  @Test("A restore is not an anomaly, and hides no anomaly relative to the restored content")
  func restores() {
    let old = Self.content(70_000, tables: 1, marks: [1])
    #expect(decide(old).count == 2)
    #expect(decide(old) { $0.restored = old }.isEmpty)
    #expect(decide(Self.content(60_000, tables: 1, marks: [1])) { $0.restored = old }.isEmpty)
    #expect(!decide(Self.content(30_000, tables: 1, marks: [1])) { $0.restored = old }.isEmpty)
    #expect(!decide(Self.content(4096, tables: 0, marks: [])) { $0.restored = old }.isEmpty)
    #expect(!decide(Self.content(70_000, marks: [9])) { $0.restored = old }.isEmpty)
  }
}
