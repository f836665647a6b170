import TestSupport
import Testing

@testable import BackupPolicy

/// Points are a day apart, the newest a day old. The letters are those of ``RetentionHistory``, and
/// `a` is an anomalous scheduled full.
@Suite("Anomaly holds")
struct AnomalyHoldTests {
  private static let reason = "lost most of its content"

  private func history(_ diagram: String) -> [Point] {
    var points = RetentionHistory(diagram.replacing("a", with: "s")).points
    let letters = diagram.filter { !"!*?".contains($0) }
    for (index, letter) in letters.enumerated() where letter == "a" {
      points[index].status = .anomalous
      points[index].anomaly = Self.reason
    }
    return points
  }

  private func outcome(_ points: [Point], _ policy: RetentionPolicy, daysLater: Int64 = 0) -> String {
    let now = RetentionHistory.now.adding(seconds: daysLater * RetentionHistory.day)
    let kept = Set(policy.decide(points, now: now).keep.map(\.id))
    return String(points.map { kept.contains($0.id) ? "k" : "-" })
  }

  private func check(
    _ diagram: String, _ expected: String, _ policy: RetentionPolicy, daysLater: Int64 = 0,
    location: SourceLocation = #_sourceLocation
  ) {
    let outcome = outcome(history(diagram), policy, daysLater: daysLater)
    #expect(outcome == expected, sourceLocation: location)
  }

  @Test("The points that retention kept at the anomaly stay, with the anomaly, however many points follow")
  func held() {
    check("sssass", "-kkkkk", RetentionPolicy(keepLast: 2))
    check("sssassss", "-kkk--kk", RetentionPolicy(keepLast: 2))
    check("sssssass", "---kkkkk", RetentionPolicy(maxBackups: 2))
    // The same for rules about age: at the time of the anomaly the second point was two days old.
    check("sssass", "-kkkkk", RetentionPolicy(retentionDays: 2))
    check("sssass", "-kkk-k", RetentionPolicy(retentionDays: 2), daysLater: 5)
    // Without a rule no point is removed anyway.
    check("sssass", "kkkkkk", RetentionPolicy())
  }

  @Test("A hold ends with its time or when it is accepted, and does not begin if holds are disabled")
  func ends() {
    let policy = RetentionPolicy(keepLast: 2, anomalyHold: .seconds(10 * RetentionHistory.day))
    // The anomaly is 3 days old.
    check("sssass", "-kkkkk", policy, daysLater: 7)
    check("sssass", "----kk", policy, daysLater: 8)
    check("sssass", "----kk", RetentionPolicy(keepLast: 2, anomalyHold: .zero))
    var points = history("sssass")
    points[3].anomaly = nil
    points[3].status = .completed
    #expect(outcome(points, RetentionPolicy(keepLast: 2)) == "----kk")
  }

  @Test("If an anomaly's clock is suspect, only a person ends its hold")
  func suspectClock() {
    let policy = RetentionPolicy(keepLast: 2, anomalyHold: .seconds(RetentionHistory.day))
    check("sssass", "----kk", policy, daysLater: 99)
    check("sssa?ss", "-kkkkk", policy, daysLater: 99)
  }

  @Test("Whole chains are held, but not the points after the anomaly in its own chain")
  func chains() {
    // Two fulls, the second with incrementals; the last but one of those is the anomaly.
    var points = history("siisiiissss")
    points[5].anomaly = Self.reason
    #expect(outcome(points, RetentionPolicy(keepLast: 1)) == "---kkk----k")
    #expect(outcome(points, RetentionPolicy(keepLast: 2)) == "kkkkkk---kk")
    points[5].anomaly = nil
    #expect(outcome(points, RetentionPolicy(keepLast: 1)) == "----------k")
  }

  @Test("The newest verified point before the anomaly and the safety backups of that time are also held")
  func protected() {
    check("s!ssSassss", "k-kkk---k", RetentionPolicy(keepLast: 1), daysLater: 20)
    check("s!ssSssss", "k------k", RetentionPolicy(keepLast: 1), daysLater: 20)
  }

  @Test("A second anomaly holds the points kept at its time, and the first one's points stay")
  func several() {
    check("sssassassss", "-kkkkkk--kk", RetentionPolicy(keepLast: 2))
  }

  /// Each anomaly is judged only with the points since the anomaly before it; the others' backups
  /// are held already.
  @Test("If there are several anomalies, each holds at least as much as it would alone")
  func many() {
    let policies = [
      RetentionPolicy(keepLast: 2), RetentionPolicy(retentionDays: 2), RetentionPolicy(maxBackups: 3), Self.daily,
    ]
    for seed in UInt64(0)..<150 {
      var generator = SeededGenerator(seed: seed)
      let letters = (0..<20).map { _ in "ssiiiacS".randomElement(using: &generator) ?? "s" }
      let points = history("s" + String(letters))
      for policy in policies {
        let kept = Set(policy.decide(points, now: RetentionHistory.now).keep.map(\.id))
        for anomaly in points where anomaly.anomaly != nil {
          var alone = points
          for index in alone.indices where alone[index].id != anomaly.id { alone[index].anomaly = nil }
          let held = policy.holds(alone, now: RetentionHistory.now).flatMap(\.held)
          #expect(kept.isSuperset(of: held), "seed \(seed): s\(String(letters)), \(policy.rules), \(anomaly.id)")
        }
      }
    }
  }

  private static let daily: RetentionPolicy = {
    var policy = RetentionPolicy()
    policy.rules.keepDaily = 3
    policy.rules.keepWeekly = 2
    return policy
  }()

  @Test("Removing points that are not held never changes the held points")
  func stable() {
    let policy = RetentionPolicy(keepLast: 2, retentionDays: 4)
    var points = history("sssssssiiassicss")
    while true {
      let decision = policy.decide(points, now: RetentionHistory.now)
      let held = policy.holds(points, now: RetentionHistory.now).map(\.held)
      guard let gone = decision.remove.first else { break }
      points.removeAll { $0.id == gone.id }
      #expect(policy.holds(points, now: RetentionHistory.now).map(\.held) == held)
    }
    #expect(points.count == 8)
  }

  @Test("An unauthenticated point holds nothing, and a failed one does")
  func states() {
    var points = history("sssass")
    points[3].status = .unauthenticated
    #expect(outcome(points, RetentionPolicy(keepLast: 2)) == "---kkk")
    points[3].status = .failed
    #expect(outcome(points, RetentionPolicy(keepLast: 2)) == "-kkkkk")
    points[3].anomaly = nil
    #expect(outcome(points, RetentionPolicy(keepLast: 2)) == "----kk")
  }

  @Test("The reasons name the anomaly, its kind, and the way to end the hold")
  func reasons() throws {
    let points = history("sssass")
    let decision = RetentionPolicy(keepLast: 2).decide(points, now: RetentionHistory.now)
    let held = try #require(decision.keep.first { $0.id == points[2].id })
    let words = try #require(held.reasons.first { $0.hasPrefix("held: ") })
    #expect(words.contains("\(points[3].id) lost most of its content"))
    #expect(words.contains("holdfast accept \(points[3].id)"))
    let own = try #require(decision.keep.first { $0.id == points[3].id })
    #expect(own.reasons.contains { $0.contains("holdfast accept \(points[3].id)") })
    let hold = try #require(RetentionPolicy(keepLast: 2).holds(points, now: RetentionHistory.now).first)
    #expect(hold.lastGood == points[2].id && hold.held == [points[1].id, points[2].id])
    #expect(hold.ends == points[3].created.adding(RetentionPolicy.standardAnomalyHold))
  }
}
