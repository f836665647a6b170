import BackupPolicy

extension StateSentence.Tone {
  /// One character before a sentence.
  package var mark: String {
    switch self {
    case .good: "✓"
    case .busy: "-"
    case .attention: "!"
    case .bad: "✗"
    }
  }
}

// Single facts, for `status` and for messages.
extension Times {
  /// When a backup last passed a drill.
  package func proof(_ facts: StateFacts) -> String {
    guard let proved = facts.proved else { return "never: holdfast drill tries a restore" }
    return ago(proved) + (facts.recovery.map { " (the restore took \(Duration.words($0)))" } ?? "")
  }

  /// The backups that a target has.
  package func target(_ copy: StateFacts.Copy) -> String {
    let missing =
      copy.unsent == 0
      ? "it has everything"
      : "\(copy.unsent.grouped) \(copy.unsent == 1 ? "backup is" : "backups are") not there yet"
        + (copy.unsentSince.map { ", the oldest since \(of($0))" } ?? "")
    let state = copy.lastSuccess == nil && copy.unsent == 0 ? "not used yet" : missing
    return "\(copy.name): \(state)" + (copy.error.map { "; last error: \($0)" } ?? "")
      + (copy.nextTry.map { "; next try at \(of($0))" } ?? "")
  }
}
