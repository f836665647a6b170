import TestSupport
import Testing

@testable import BackupPolicy

/// Points of 10 bytes each on a file system of 1000 bytes.
@Suite("Room for the next backup")
struct FreeSpaceTests {
  private func points(_ diagram: String) -> [Point] {
    RetentionHistory(diagram).points.map {
      var point = $0
      point.bytes = 10
      return point
    }
  }

  private func outcome(
    _ points: [Point], free: Int64, _ policy: RetentionPolicy = RetentionPolicy(minFreeSpace: .bytes(100))
  ) -> String {
    let space = SpaceFacts(free: free, capacity: 1000)
    let kept = Set(policy.decide(points, now: RetentionHistory.now, space: space).keep.map(\.id))
    return String(points.map { kept.contains($0.id) ? "k" : "-" })
  }

  @Test("The oldest points are removed first, and no more than necessary")
  func oldestFirst() {
    #expect(outcome(points("ssss!s"), free: 100) == "kkkkk")
    #expect(outcome(points("ssss!s"), free: 99) == "-kkkk")
    #expect(outcome(points("ssss!s"), free: 81) == "--kkk")
    // All but the newest verified point and the parent of the next one.
    #expect(outcome(points("ssss!s"), free: 0) == "---kk")
    #expect(outcome(points("ssssss"), free: 0) == "-----k")
  }

  @Test("A file system that reports no numbers is no reason to remove a point", arguments: [0, 50, Int64.max])
  func noNumbers(free: Int64) {
    let space = SpaceFacts(free: free, capacity: 0)
    for wanted in [FreeSpace.bytes(100), .percent(50)] {
      #expect(wanted.shortage(space) == nil)
      let policy = RetentionPolicy(minFreeSpace: wanted)
      #expect(policy.decide(points("ssss!s"), now: RetentionHistory.now, space: space).remove.isEmpty)
    }
  }

  @Test("Removals by rules count first, and without the setting space is no reason")
  func afterTheRules() {
    #expect(outcome(points("sssss!"), free: 81, RetentionPolicy(keepLast: 3, minFreeSpace: .bytes(100))) == "--kkk")
    #expect(outcome(points("sssss!"), free: 71, RetentionPolicy(keepLast: 3, minFreeSpace: .bytes(100))) == "---kk")
    #expect(outcome(points("sssss!"), free: 0, RetentionPolicy(keepLast: 3)) == "--kkk")
  }

  @Test("A percentage is of the whole file system")
  func percent() {
    #expect(outcome(points("sss!"), free: 99, RetentionPolicy(minFreeSpace: .percent(10))) == "-kk")
    #expect(outcome(points("sss!"), free: 99, RetentionPolicy(minFreeSpace: .percent(9))) == "kkk")
  }

  @Test("Closures stay whole: children are removed before parents, and the closure of the newest verified point stays")
  func closures() {
    #expect(outcome(points("siisiii!ii"), free: 91) == "kk-kkkkkk")
    #expect(outcome(points("siisi!iii"), free: 51) == "---kkkkk")
    // So does the newest backup's closure.
    #expect(outcome(points("si!isi"), free: 0) == "kk-kk")
  }

  @Test("Ordinary points are removed first, then safety backups in their grace, then points that an anomaly holds")
  func order() {
    var held = points("Gsssss!Sss")
    held[3].anomaly = "lost most of its content"
    let policy = RetentionPolicy(anomalyHold: .seconds(100 * RetentionHistory.day), minFreeSpace: .bytes(100))
    // Grace is 7 days: the first is 9 days old, and held.
    #expect(outcome(held, free: 91, policy) == "kkkk-kkkk")
    #expect(outcome(held, free: 81, policy) == "kkkk-kk-k")
    #expect(outcome(held, free: 75, policy) == "kkkk-k--k")
    #expect(outcome(held, free: 61, policy) == "-kkk-k--k")
    #expect(outcome(held, free: 0, policy) == "-----k--k")
  }

  @Test("Pinned and unauthenticated points stay")
  func untouched() {
    #expect(outcome(points("s*us!s"), free: 0) == "kkkk")
  }

  @Test("The reason names the free space")
  func reason() throws {
    let points = points("ss!")
    let decision = RetentionPolicy(minFreeSpace: .bytes(100)).decide(
      points, now: RetentionHistory.now, space: SpaceFacts(free: 3, capacity: 1000))
    #expect(decision.remove.map(\.reasons) == [["3 B is free, less than min_free_space (100 B)"]])
  }

  @Test("In any repository the remaining points are whole", arguments: [1, 22, 333] as [UInt64])
  func property(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for number in 0..<300 {
      var points: [Point] = []
      for index in 0..<Int.random(in: 0..<30, using: &random) {
        let isChild = !points.isEmpty && random.chance(2)
        var point = Point(
          id: RetentionHistory.id(index), created: RetentionHistory.now.adding(seconds: Int64(index) - 1000),
          type: random.pick([BackupType.scheduled, .change, .safety]), kind: isChild ? .incremental : .full,
          parent: isChild ? random.pick(points).id : nil,
          status: random.pick([BackupStatus.completed, .failed, .verified]))
        point.verified = point.status == .verified
        point.anomaly = random.chance(6) ? "is odd" : nil
        point.bytes = Int64.random(in: 0..<50, using: &random)
        points.append(point)
      }
      let policy = RetentionPolicy(keepLast: random.pick([nil, 2]), minFreeSpace: .bytes(500))
      let decision = policy.decide(
        points, now: RetentionHistory.now, space: SpaceFacts(free: random.pick([0, 300, 480]), capacity: 1000))
      let kept = Set(decision.keep.map(\.id))
      let whole = points.allSatisfy { !kept.contains($0.id) || $0.parent == nil || kept.contains($0.parent!) }
      let newest = points.last { $0.verified }
      let isSafe = whole && newest.map { kept.contains($0.id) } ?? true && (points.isEmpty || !kept.isEmpty)
      guard isSafe, kept.count + decision.remove.count == points.count else {
        Issue.record("seed \(seed), case \(number): \(decision) of \(points)")
        return
      }
    }
  }
}
