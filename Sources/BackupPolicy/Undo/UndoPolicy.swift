/// Whether the last restore can be undone, and by which point.
package enum UndoDecision: Hashable, Sendable {
  /// Restore this point; with warnings to know before confirming, lower case, no full stop.
  case restore(PointID, warnings: [String])
  case refuse(RestoreRefusal)
}

/// Decides the action of `undo`: an ordinary restore of the content that the last restore replaced.
///
/// That restore makes a safety backup of its own. So a second undo brings back the result of the
/// first restore, and later writes are never lost: they cause a warning, not a refusal.
package enum UndoPolicy {
  package static func decide(_ facts: UndoFacts) -> UndoDecision {
    guard let last = facts.last else {
      return .refuse(
        RestoreRefusal(
          .refused, "there is nothing to undo: no restore into \(facts.database) is recorded",
          hint: "holdfast list shows the backups; holdfast restore ID restores one"))
    }
    guard let safety = last.safety else {
      return .refuse(
        RestoreRefusal(
          .refused,
          "the last restore, of \(last.point) at \(last.began.iso8601), kept no copy of the previous content",
          hint: "holdfast list shows the other backups; holdfast restore ID restores one"))
    }
    if let refusal = refusal(facts, last, safety) { return .refuse(refusal) }
    return .restore(safety, warnings: warnings(facts, last))
  }

  private static func refusal(_ facts: UndoFacts, _ last: RestoreNote, _ safety: PointID) -> RestoreRefusal? {
    switch facts.safety {
    case .gone:
      return RestoreRefusal(
        .pointNotFound, "\(safety), the backup from before the restore of \(last.point), is gone",
        hint: "holdfast list shows the other backups; holdfast restore ID restores one")
    case .another:
      return RestoreRefusal(
        .pointNotFound,
        "the safety backup from before the restore of \(last.point) is gone: \(safety) is another backup now",
        hint: "holdfast list shows the other backups; holdfast restore ID restores one")
    case .unproven:
      return RestoreRefusal(
        .pointNotFound,
        "the record of the restore of \(last.point) does not prove that \(safety) is its safety backup: it may be a later backup with the same ID",
        hint: "holdfast show \(safety) describes it; holdfast restore \(safety) restores it")
    case .rawCopy:
      return RestoreRefusal(
        .refused, "the content before the restore of \(last.point) was damaged, and \(safety) is a copy of those files",
        hint: "contrib/recover.py writes them as a tar archive")
    case .there:
      guard facts.content == .asBefore else { return nil }
      return RestoreRefusal(
        .refused,
        "there is nothing to undo: \(facts.database) still holds the content from before the restore of \(last.point)",
        hint: "holdfast list shows the other backups; holdfast restore ID restores one")
    }
  }

  private static func warnings(_ facts: UndoFacts, _ last: RestoreNote) -> [String] {
    var warnings: [String] = []
    if !last.isComplete { warnings.append("the restore of \(last.point) was killed before it recorded its result") }
    if facts.content == .changed {
      warnings.append(
        "\(facts.database) was written to since the restore at \(last.began.iso8601); that is kept only in the safety backup"
      )
    }
    return warnings
  }
}

/// The repository's record of a restore into a database.
package struct RestoreNote: Hashable, Sendable {
  /// The restored point.
  package var point: PointID
  /// The database's path, symbolic links resolved.
  package var target: String
  /// The time just before it changed the database.
  package var began: Timestamp
  /// The database's previous content; nil if no backup was made of it.
  package var safety: PointID?
  /// Its number and its content, because a later backup can get the ID of one that is gone.
  package var safetyMark: BackupMark?
  /// False for a restore that was killed: it is unknown whether it changed the database.
  package var isComplete = false
  /// The newest number in the repository when it ended; nil while it runs, or if an older version
  /// recorded it.
  package var endSequence: UInt64?
  /// The bytes of page 1 that SQLite rewrites when it installs an image, as in the point: they show
  /// whether the database still holds the restored content. Nil if unknown.
  package var rewrittenBytes: [UInt8]?

  /// Whether a backup with the ID of the safety backup is the safety backup.
  ///
  /// Older versions recorded no mark. Then the other facts must exclude a later backup: the safety
  /// backup is older than the entry, and has the type of one.
  ///
  /// - Parameter type: nil if the metadata cannot be read.
  package func identity(ofSafety mark: BackupMark, _ type: BackupType?, created: Timestamp) -> SafetyIdentity {
    if let safetyMark {
      guard safetyMark.fits(mark) else { return .another }
      if safetyMark.proves(mark) { return .same }
    }
    if let endSequence, let sequence = mark.sequence, sequence > endSequence { return .another }
    return created <= began && (type ?? .safety) == .safety ? .same : .unproven
  }

  package init(point: PointID, target: String, began: Timestamp, safety: PointID? = nil) {
    self.point = point
    self.target = target
    self.began = began
    self.safety = safety
  }
}

/// Whether a backup is the safety backup of a restore.
package enum SafetyIdentity: Hashable, Sendable {
  case same
  case another
  /// The record cannot show it.
  case unproven
}

/// Distinguishes a backup from a later one with the same ID. Compaction keeps both values.
package struct BackupMark: Hashable, Sendable {
  /// Its number in the repository; nil if unknown.
  package var sequence: UInt64?
  /// The digest of its pages; nil if unknown, and for a raw copy.
  package var digest: String?

  package init(sequence: UInt64?, digest: String?) {
    (self.sequence, self.digest) = (sequence, digest)
  }

  /// Whether both are certainly of one backup: a value that both have is the same.
  package func proves(_ other: BackupMark) -> Bool {
    fits(other) && ((sequence != nil && other.sequence != nil) || (digest != nil && other.digest != nil))
  }

  /// Whether both may be of one backup. An unknown value is no evidence.
  package func fits(_ other: BackupMark) -> Bool {
    Self.mayAgree(sequence, other.sequence) && Self.mayAgree(digest, other.digest)
  }

  private static func mayAgree<Value: Equatable>(_ left: Value?, _ right: Value?) -> Bool {
    left == nil || right == nil || left == right
  }
}

/// The facts for undoing the last restore.
package struct UndoFacts: Hashable, Sendable {
  /// The safety backup of the last restore.
  package enum Safety: Hashable, Sendable {
    case there
    case gone
    /// It is gone, and a later backup has its ID.
    case another
    /// The record does not identify it, and the backup with its ID may be a later one.
    case unproven
    /// The files of a damaged database as they were found, which a restore cannot bring back.
    case rawCopy
  }

  /// The database's current content.
  package enum Content: Hashable, Sendable {
    case asRestored
    /// Its content from before the restore.
    case asBefore
    case changed
    /// It is missing, or cannot be compared.
    case unknown
  }

  /// The database's path.
  package var database: String
  /// The last restore into it; nil if none is recorded.
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
