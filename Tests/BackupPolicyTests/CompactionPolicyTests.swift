import BackupPolicy
import TestSupport
import Testing

private let minute: Int64 = 60
private let hour: Int64 = 3600
private let day: Int64 = 86400

@Suite("Compaction")
struct CompactionPolicyTests {
  @Test("After three hours of a point each second, every point of the last hour stays, and one a minute before it")
  func seconds() {
    var history = CompactionHistory()
    history.add(.full, seconds: 0)
    for second in 1..<(3 * hour) { history.add(.incremental, seconds: second) }
    let plan = history.plan(seconds: 3 * hour)
    // And one for the point that is exactly an hour old.
    #expect(plan.steps.count == 121)
    #expect(plan.steps.allSatisfy { $0.reasons == ["older than 1 h: one a minute stays"] && $0.survivor != nil })
    #expect(history.apply(plan) == nil)
    let minutes = Array(stride(from: Int64(59), to: 2 * hour, by: Int(minute)))
    let seconds = Array((2 * hour + 1)..<(3 * hour))
    #expect(history.times == minutes + seconds)
    #expect(history.plan(seconds: 3 * hour).steps.isEmpty)
  }

  @Test("A pinned point is neither merged into another nor rewritten, and points below it are compacted all the same")
  func pinned() {
    var history = CompactionHistory()
    history.add(.full, seconds: 0)
    for second in 1...9 { history.add(.incremental, seconds: Int64(second)) { $0.pinned = second == 5 } }
    let plan = history.plan(seconds: 2 * hour)
    let pinned = history.points[5].id
    #expect(plan.steps.allSatisfy { !$0.removed.contains(pinned) && $0.survivor != pinned })
    #expect(history.apply(plan) == nil)
    #expect(history.times == [4, 5, 9])
    #expect(history.apply(history.plan(seconds: 30 * day)) == nil)
    #expect(history.times == [4, 5, 9])
  }

  @Test("Nine days of a point every five minutes are compacted every hour")
  func days() {
    let pause = 5 * minute
    var history = CompactionHistory()
    history.add(.full, seconds: 0)
    for now in stride(from: pause, through: 9 * day, by: Int(pause)) {
      history.add(.incremental, seconds: now)
      guard now.isMultiple(of: hour) else { continue }
      #expect(history.apply(history.plan(seconds: now)) == nil)
      #expect(history.plan(seconds: now).steps.isEmpty)
    }
    let end = 9 * day
    let minutes: [Int64] = Array(stride(from: end - day + pause, through: end, by: Int(pause)))
    // The last of its hour comes five minutes before the next hour.
    let hours: [Int64] = Array(stride(from: end - 7 * day + hour - pause, to: end - day, by: Int(hour)))
    #expect(history.times == hours + minutes)
    #expect(history.points[1].parent == history.points[0].id)
  }

  @Test("After a week the end of a chain is removed, and the fulls stay", arguments: [true, false])
  func ends(newChain: Bool) {
    var history = CompactionHistory()
    history.add(.full, seconds: 0)
    for number: Int64 in 1...5 { history.add(.incremental, seconds: number * day) }
    if newChain { history.add(.full, seconds: 6 * day) }
    let plan = history.plan(seconds: 10 * day)
    #expect(plan.steps.count == 1)
    #expect(history.apply(plan) == nil)
    #expect(history.times == [4 * day, 5 * day])
    let later = history.plan(seconds: 30 * day)
    #expect(later.steps.first?.reasons == ["older than 7 days: only fulls are kept"])
    #expect(history.apply(later) == nil)
    // The newest point stays however old it is, and takes over the pages that it needs.
    #expect(history.times == (newChain ? [] : [5 * day]))
    #expect(later.steps.first?.survivor == (newChain ? nil : history.points.last?.id))
  }

  static let meaningful: [(String, @Sendable (inout Point) -> Void)] = [
    ("asked for", { $0.type = .manual }), ("scheduled", { $0.type = .scheduled }),
    ("safety", { $0.type = .safety }), ("guard", { $0.type = .guard }), ("tagged", { $0.isDescribed = true }),
    ("failed", { $0.status = .failed }), ("anomalous", { $0.status = .anomalous }),
    ("suspect", { $0.status = .suspect }), ("unauthenticated", { $0.status = .unauthenticated }),
    ("of a doubtful clock", { $0.clockSuspect = true }), ("the newest verified", { $0.verified = true }),
    ("a raw copy", { $0.kind = .raw }),
  ]

  @Test("A requested or anomalous point is never merged away", arguments: meaningful.indices)
  func stays(_ index: Int) {
    for age in [2 * hour, 2 * day, 20 * day] {
      var history = CompactionHistory()
      history.add(.full, seconds: 0)
      history.add(.incremental, seconds: 1)
      let special = history.add(.incremental, seconds: 2, Self.meaningful[index].1)
      history.add(.incremental, seconds: 3)
      history.add(.full, seconds: 4)
      let plan = history.plan(seconds: age)
      #expect(!plan.steps.contains { $0.removed.contains(special) }, "\(Self.meaningful[index].0)")
      #expect(history.apply(plan) == nil)
    }
  }

  @Test(
    "No point is merged into one that is failed, unauthenticated or anomalous",
    arguments: [BackupStatus.failed, .unauthenticated, .anomalous])
  func noTarget(status: BackupStatus) {
    var history = CompactionHistory()
    history.add(.full, seconds: 0)
    for second: Int64 in 1...3 { history.add(.incremental, seconds: second) }
    let odd = history.add(.incremental, seconds: 4) { $0.status = status }
    history.add(.full, seconds: 5)
    let plan = history.plan(seconds: 20 * day)
    #expect(plan.steps.map(\.survivor) == [history.points[3].id])
    #expect(history.points.first { $0.id == odd }?.parent == history.points[3].id)
  }

  @Test("If two others build on a point, it stays as long as both exist")
  func branches() {
    var history = CompactionHistory()
    history.add(.full, seconds: 0)
    let base = history.add(.incremental, seconds: 1)
    history.add(.incremental, seconds: 2, parent: base) { $0.isDescribed = true }
    history.add(.incremental, seconds: 3, parent: base) { $0.isDescribed = true }
    history.add(.full, seconds: 4)
    #expect(history.plan(seconds: 2 * hour).steps.isEmpty)
    history.points[2].isDescribed = false
    // An interrupted compaction leaves this: a branch that no point needs.
    let plan = history.plan(seconds: 2 * hour)
    #expect(plan.steps.map(\.survivor) == [nil, history.points[3].id])
    #expect(plan.steps.map(\.removed) == [[history.points[2].id], [base]])
    #expect(history.apply(plan) == nil && history.times == [3])
  }

  @Test("A large link waits until its successors are as large")
  func heavy() {
    var history = CompactionHistory()
    history.add(.full, seconds: 0) { $0.pageCount = 100_000 }
    history.add(.incremental, seconds: 1) { ($0.pagesStored, $0.pageCount) = (60_000, 100_000) }
    for second: Int64 in 2...4 { history.add(.incremental, seconds: second) { $0.pagesStored = 10_000 } }
    let light = history.plan(seconds: 2 * hour)
    #expect(light.steps.map(\.removed) == [history.points[2...3].map(\.id)])
    history.points[3].pagesStored = 50_000
    #expect(history.plan(seconds: 2 * hour).steps.map(\.removed) == [history.points[1...3].map(\.id)])
  }

  @Test("A long run is merged in parts, and the parts in the next round")
  func long() {
    var history = CompactionHistory()
    history.add(.full, seconds: 0)
    for second: Int64 in 1...1201 { history.add(.incremental, seconds: 3 * second) }
    let first = history.plan(seconds: 2 * day)
    #expect(first.steps.map(\.removed.count) == [499, 499, 198, 1])
    #expect(history.apply(first) == nil)
    let second = history.plan(seconds: 2 * day)
    #expect(second.steps.map(\.removed.count) == [2])
    #expect(history.apply(second) == nil && history.plan(seconds: 2 * day).steps.isEmpty)
    // The last of the first hour, and the newest of all.
    #expect(history.times == [3597, 3603])
  }

  @Test("A clock that was set back makes no point old")
  func clock() {
    var history = CompactionHistory()
    history.add(.full, seconds: 0)
    for second: Int64 in 1...10 { history.add(.incremental, seconds: second) }
    #expect(history.plan(seconds: -100 * day).steps.isEmpty)
    #expect(CompactionPolicy().plan(history.points, now: Timestamp(milliseconds: .min)).steps.isEmpty)
    #expect(!CompactionPolicy().plan(history.points, now: Timestamp(milliseconds: .max)).steps.isEmpty)
  }

  @Test("Parents that are missing, younger, or their own are no parents")
  func strangers() {
    var history = CompactionHistory()
    history.add(.full, seconds: 0)
    for second: Int64 in 1...4 { history.add(.incremental, seconds: second) }
    history.points[1].parent = PointID("backup_20200101_000000")
    history.points[2].parent = history.points[4].id
    history.points[3].parent = history.points[3].id
    #expect(history.plan(seconds: 2 * hour).steps.isEmpty)
  }

  @Test(
    "In random histories every point can be restored at each moment, and compaction comes to an end", arguments: 0..<40)
  func random(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var history = CompactionHistory()
    var time: Int64 = 0
    for _ in 0..<300 {
      time += Int64.random(in: 0...[2, 100, 5000, 40_000].randomElement(using: &generator)!, using: &generator)
      let isFull = history.points.isEmpty || Int.random(in: 0..<40, using: &generator) == 0
      let kind = isFull ? BackupKind.full : .incremental
      // Mostly the newest point, now and then an older one.
      let parent =
        Int.random(in: 0..<30, using: &generator) == 0 ? history.points.randomElement(using: &generator) : nil
      history.add(kind, seconds: time, parent: kind == .full ? nil : parent?.id) { point in
        if Int.random(in: 0..<20, using: &generator) == 0 {
          Self.meaningful.dropLast().randomElement(using: &generator)!.1(&point)
        }
        point.pagesStored = UInt32.random(in: 1...6000, using: &generator)
        point.pageCount = 6000
      }
      guard Int.random(in: 0..<10, using: &generator) == 0 else { continue }
      time += Int64.random(in: 0...(2 * day), using: &generator)
      let before = history
      var rounds = 0
      while rounds < 50, case let plan = history.plan(seconds: time), !plan.steps.isEmpty {
        rounds += 1
        let problem = history.apply(plan)
        #expect(problem == nil, "seed \(seed)")
      }
      #expect(rounds < 50, "seed \(seed)")
      let lost = before.points.filter { point in !history.points.contains { $0.id == point.id } }
      #expect(lost.allSatisfy { $0.kind == .incremental && $0.type == .change && !$0.isAnnotated }, "seed \(seed)")
      #expect(lost.allSatisfy { $0.created <= CompactionHistory.start.adding(seconds: time - hour) }, "seed \(seed)")
      #expect(history.points.last?.id == before.points.last?.id, "seed \(seed)")
    }
  }
}
