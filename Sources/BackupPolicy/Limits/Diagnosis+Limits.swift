extension Diagnosis {
  /// One agent guards many databases: the limit is judged by how many it suffices for.
  static func openFiles(_ facts: ExaminationFacts) -> Finding? {
    guard let limit = facts.openFileLimit else { return nil }
    let workers = 4
    let each =
      DescriptorBudget.wanted(databases: 1, workers: workers) - DescriptorBudget.wanted(databases: 0, workers: workers)
    let databases = max(0, limit - DescriptorBudget.wanted(databases: 0, workers: workers)) / each
    guard databases < 16 else {
      return Finding("open files", .ok, "at most \(limit), enough for an agent with \(databases) databases")
    }
    return Finding(
      "open files", .warning,
      "at most \(limit), enough for an agent with \(databases) database\(databases == 1 ? "" : "s"); with more, backups are slower",
      advice: "raise the hard limit: ulimit -Hn, or LimitNOFILE= in the systemd unit")
  }
}
