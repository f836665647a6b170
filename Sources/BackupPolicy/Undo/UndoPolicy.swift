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

/// A restore into a database, as the repository notes it.
package struct RestoreNote: Hashable, Sendable {
  /// What was restored.
  package var point: PointID
  /// The database's path, symbolic links resolved.
  package var target: String
  /// When it was about to change the database.
  package var began: Timestamp
  /// What the database held before; nil where no backup was made of that.
  package var safety: PointID?
  /// False for a restore that was killed: whether it changed the database is not known.
  package var isComplete = false
  /// The newest number in the repository when it ended; nil while it goes on, or if an older version recorded it.
  package var endSequence: UInt64?
  /// The bytes of page 1 that SQLite rewrites when it installs an image, as the point has them: what tells whether the database
  /// still holds what was restored. Nil where not known.
  package var rewrittenBytes: [UInt8]?

  package init(point: PointID, target: String, began: Timestamp, safety: PointID? = nil) {
    self.point = point
    self.target = target
    self.began = began
    self.safety = safety
  }
}

/// What undoing the last restore depends on.
package struct UndoFacts: Hashable, Sendable {
  /// The safety backup of the last restore.
  package enum Safety: Hashable, Sendable {
    case there
    case gone
    /// The files of a damaged database as they were found, which no restore brings back.
    case rawCopy
  }

  /// What the database holds now.
  package enum Content: Hashable, Sendable {
    case asRestored
    /// What it held before the restore.
    case asBefore
    case changed
    /// It is missing, or cannot be compared.
    case unknown
  }

  /// The database's path.
  package var database: String
  /// The last restore into it; nil where none is noted.
  package var last: RestoreNote?
  package var safety = Safety.gone
  package var content = Content.unknown

  package init(database: String, last: RestoreNote?) {
    self.database = database
    self.last = last
  }

  /// The restore was killed before it changed anything; the one before it is the last that counts.
  package var wasInVain: Bool { last?.isComplete == false && content == .asBefore }
}
