/// Whether the last restore can be undone, and by which point.
package enum UndoDecision: Hashable, Sendable {
  /// Restore this point; with what to know before saying yes, lower case, no full stop.
  case restore(PointID, warnings: [String])
  case refuse(RestoreRefusal)
}

/// Decides what `undo` does: an ordinary restore of what the last restore found in place.
///
/// That restore makes a safety backup of its own. So undoing twice brings back what the first restore had brought, and what was
/// written since is never lost; it is worth a warning, not a refusal.
package enum UndoPolicy {
  package static func decide(_ facts: UndoFacts) -> UndoDecision {
    guard let last = facts.last else {
      return .refuse(
        RestoreRefusal(
          .refused, "there is nothing to undo: no restore into \(facts.database) is noted",
          hint: "holdfast list shows the backups; holdfast restore ID brings one back"))
    }
    guard let safety = last.safety else {
      return .refuse(
        RestoreRefusal(
          .refused,
          "the last restore, of \(last.point) at \(last.began.iso8601), kept nothing of what was there before",
          hint: "holdfast list shows the other backups; holdfast restore ID brings one back"))
    }
    if let refusal = refusal(facts, last, safety) { return .refuse(refusal) }
    return .restore(safety, warnings: warnings(facts, last))
  }

  private static func refusal(_ facts: UndoFacts, _ last: RestoreNote, _ safety: PointID) -> RestoreRefusal? {
    switch facts.safety {
    case .gone:
      return RestoreRefusal(
        .pointNotFound, "\(safety) is gone, which held what was there before the restore of \(last.point)",
        hint: "holdfast list shows the other backups; holdfast restore ID brings one back")
    case .rawCopy:
      return RestoreRefusal(
        .refused, "what the restore of \(last.point) found was damaged, and \(safety) is a copy of it as it was",
        hint: "contrib/recover.py writes it out as a tar of those files")
    case .there:
      guard facts.content == .asBefore else { return nil }
      return RestoreRefusal(
        .refused, "there is nothing to undo: \(facts.database) holds what it held before the restore of \(last.point)",
        hint: "holdfast list shows the other backups; holdfast restore ID brings one back")
    }
  }

  private static func warnings(_ facts: UndoFacts, _ last: RestoreNote) -> [String] {
    var warnings: [String] = []
    if !last.isComplete { warnings.append("the restore of \(last.point) was killed before it could say how it ended") }
    if facts.content == .changed {
      warnings.append(
        "\(facts.database) was written to since the restore at \(last.began.iso8601); that is kept only in the safety backup"
      )
    }
    return warnings
  }
}
