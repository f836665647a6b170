import TestSupport
import Testing

@testable import BackupPolicy

@Suite struct TriggerPropertyTests {
  /// Random events: after they have passed, everything is backed up once, and the machine sleeps.
  @Test(arguments: [1, 2, 3, 5, 8, 13] as [UInt64])
  func randomDays(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for day in 0..<300 {
      let problems = Self.day(&random)
      #expect(problems.isEmpty, "seed \(seed), day \(day)")
      if !problems.isEmpty { return }
    }
  }

  private static func day(_ random: inout SeededGenerator) -> [String] {
    let settings = TriggerSettings(
      debounce: random.pick([0, 100, 500]), maxDelay: random.pick([500, 2000, 5000]),
      minInterval: random.pick([0, 1000, 3000]))
    var diagram = TriggerDiagram(settings, duration: random.pick([0, 50, 900, 7000]))
    let fails = random.chance(2)
    if fails {
      diagram.outcomes = (0..<40).map { _ in random.chance(3) ? .failed(.busy) : random.chance(2) ? .stored : .unchanged
      }
    }
    var changes: [Int64] = []
    var requests = 0
    for _ in 0..<Int.random(in: 1..<80, using: &random) {
      diagram.advance(to: diagram.now + random.pick([0, 1, 30, 400, 499, 500, 501, 6000]))
      switch Int.random(in: 0..<10, using: &random) {
      case 0:
        requests += 1
        diagram.send(.requested)
      case 1: diagram.send(.tick)
      default:
        changes.append(diagram.now)
        diagram.send(.change)
      }
    }
    diagram.advance(to: diagram.now + 10_000_000)
    return problems(diagram, settings, changes: changes, requests: requests, fails: fails)
  }

  private static func problems(
    _ diagram: TriggerDiagram, _ settings: TriggerSettings, changes: [Int64], requests: Int, fails: Bool
  ) -> [String] {
    var problems = diagram.violations
    if diagram.deadline != nil { problems.append("never asleep again") }
    let automatic = diagram.starts.filter { $0.trigger == .change }
    if diagram.starts.count - automatic.count > requests { problems.append("more backups asked for than requests") }
    for (earlier, later) in zip(diagram.starts, diagram.starts.dropFirst()) where later.trigger == .change {
      if later.time - earlier.time < settings.minInterval { problems.append("\(later.time): below the floor") }
    }
    if let last = changes.last, (diagram.starts.last?.time ?? -1) < last {
      problems.append("a change at \(last) is lost")
    }
    if fails { return problems }
    if automatic.count > changes.count { problems.append("more backups than changes") }
    // A change waits at most for the ceiling, the floor and the backups in between (its own wait included).
    let longest = settings.maxDelay + settings.minInterval + 2 * diagram.duration
    for change in changes where !diagram.starts.contains(where: { $0.time >= change && $0.time <= change + longest }) {
      problems.append("a change at \(change) waited too long")
    }
    return problems
  }
}
