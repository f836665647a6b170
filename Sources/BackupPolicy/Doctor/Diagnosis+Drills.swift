extension Diagnosis {
  /// Whether anybody saw a backup being restored; nil where there is none yet.
  static func drills(_ facts: ExaminationFacts) -> Finding? {
    guard let standing = facts.drills else { return nil }
    let concerns = standing.concerns(maxAge: facts.drillAge, now: facts.time)
    if !concerns.isEmpty {
      return Finding(
        "drills", .warning, concerns.map(\.words).joined(separator: "; "),
        advice: "holdfast drill shows whether the newest backup can be restored, and what keeps it from that")
    }
    guard let passed = standing.lastPassed else {
      return Finding(
        "drills", .note, "there was none yet: holdfast drill proves that the newest backup can be restored")
    }
    return Finding("drills", .ok, "the last one passed at \(passed.iso8601)")
  }
}
