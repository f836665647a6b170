import BackupEngine
import BackupPolicy

/// The least that the newest backup in a target must be. A target can withhold new backups, and
/// nothing in it proves that it does not; a person may know better.
package struct NewestExpectation: Hashable, Sendable {
  package var sequence: Int64?
  package var id: PointID?
  /// Milliseconds.
  package var maximumAge: Int64?

  package init() {}

  package var isEmpty: Bool { self == NewestExpectation() }

  /// The expectation that the newest backup does not meet, as text; nil if it meets all.
  func unmet(by newest: RemoteBackup, now: Timestamp) -> String? {
    if let sequence, newest.sequence < sequence { return "number \(sequence) was expected" }
    if let id, newest.id != id, newest.created < id.second { return "\(id) was expected" }
    if let maximumAge, now.milliseconds - newest.created.milliseconds > maximumAge {
      return "one that is at most \(Words.duration(milliseconds: maximumAge)) old was expected"
    }
    return nil
  }
}

extension RemoteReader {
  /// Compares the newest backup that the key proves with a person's knowledge.
  ///
  /// - Parameter newest: if it was chosen already.
  /// - Throws: `refused` if it is older.
  package func require(_ expectation: NewestExpectation, newest known: RemoteChoice? = nil) throws {
    guard !expectation.isEmpty else { return }
    let newest = try known?.backup ?? choose(.latest).backup
    let now = environment.now()
    guard let unmet = expectation.unmet(by: newest, now: now) else { return }
    let age = Words.distance(milliseconds: max(0, now.milliseconds - newest.created.milliseconds))
    throw HoldfastError(
      .refused,
      "the newest backup in \(sources.address) is number \(newest.sequence), \(newest.id), \(age) old, but \(unmet): newer ones were not copied, were removed, or are withheld",
      hint: "ask another target: --from URL; without --at-least and --max-age the newest one there is read")
  }
}
