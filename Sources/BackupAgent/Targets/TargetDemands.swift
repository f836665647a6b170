import BackupEngine
import BackupPolicy
import Replication

/// The needs of a database's targets that retention and compaction of the repository respect: what a
/// target does not have yet stays for 7 days.
///
/// A target of which nothing is remembered has nothing.
struct TargetDemands: Sendable {
  let engine: Engine
  let targets: [Target]

  /// The backups that are not removed, with the reasons.
  func awaited() throws -> [PointID: [String]] { try union(\.awaited) }

  /// The backups that are not merged into others, with the reasons.
  func promised() throws -> [PointID: [String]] { try union(\.promised) }

  private func union(_ demand: (RememberedTarget) -> [PointID: [String]]) throws -> [PointID: [String]] {
    try targets.reduce(into: [:]) { all, target in
      all.merge(demand(try RememberedTarget(target, engine))) { $0 + $1 }
    }
  }
}
