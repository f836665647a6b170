import BackupPolicy

/// What one drill did and found. It is kept in the repository's history without the answers of the assertions, for whoever can
/// read the repository need not have the key.
package struct DrillRecord: Hashable, Sendable {
  /// Why it was made.
  package enum Trigger: String, Hashable, Sendable {
    case manual
    case scheduled
  }

  /// What was restored: that very archive, and that very content.
  package struct Subject: Hashable, Sendable {
    package var id: PointID
    /// `full` or `incremental`.
    package var kind: String
    package var created: Timestamp
    /// See ``PointMetadata/digest``.
    package var digest: String?
    /// See ``PointMetadata/checksum``.
    package var checksum: String?
    /// Archives that were read.
    package var archives: Int
    /// Bytes of the database.
    package var size: Int64?
  }

  /// One assertion's answer.
  package struct Answer: Hashable, Sendable {
    /// Its name, or its number.
    package var label: String
    /// Nil in the history.
    package var assertion: DrillAssertion?
    /// What the query gave; nil where it failed, and in the history.
    package var answer: String?
    /// Why the query failed, in SQLite's words.
    package var error: String?
    package var passed: Bool
  }

  /// Why the drill did not pass.
  package struct Failure: Hashable, Sendable {
    package var step: DrillStep
    package var code: HoldfastError.Code
    /// Lower case, no full stop; without the answers of assertions.
    package var message: String
  }

  /// Its place in the history, from 1.
  package var number = 0
  package var started: Timestamp
  package var trigger: Trigger
  package var subject: Subject
  package var checks: [Check] = []
  package var answers: [Answer] = []
  /// Milliseconds from the first archive to a database that can be opened; nil where it never came to that.
  package var restoreMS: Int64?
  /// Milliseconds of all checks and assertions.
  package var checkMS: Int64?
  package var failure: Failure?
  /// The machine that made it.
  package var host: String?
  /// Of SQLite, which checked.
  package var sqliteVersion: String?
  package var holdfastVersion: String?
  /// Things that are odd and make the drill no worse; not in the history.
  package var notes: [String] = []

  package var passed: Bool { failure == nil }
}

extension DrillRecord {
  init(_ point: StoredPoint, _ trigger: Trigger, at time: Timestamp) {
    let metadata = point.metadata
    self.init(
      started: time, trigger: trigger,
      subject: Subject(
        id: point.id, kind: metadata.kind, created: metadata.created, digest: metadata.digest,
        checksum: metadata.checksum, archives: 1, size: metadata.originalSize))
  }

  mutating func add(_ outcome: Check.Outcome, _ name: String, _ detail: String? = nil) {
    checks.append(Check(name: name, outcome: outcome, detail: detail))
  }
}

extension DrillRecord.Subject {
  /// Whether a point still is what was restored: the archive of a full, byte for byte; of an incremental the content, which
  /// compaction may cut into other archives at any time (see ``PointChain/fingerprint``).
  package func isSame(as point: StoredPoint) -> Bool {
    let metadata = point.metadata
    guard id == metadata.id, digest == metadata.digest else { return false }
    if point.isIncremental, digest != nil { return true }
    return checksum != nil && checksum == metadata.checksum
  }
}
