import BackupEngine
import BackupPolicy

/// The needs of a database's targets that retention and compaction of the repository respect: what a
/// target does not have yet stays for 7 days.
///
/// A target of which nothing is remembered has nothing.
package struct TargetDemands: Sendable {
  private let engine: Engine
  private let targets: [Target]

  package init(engine: Engine, targets: [Target]) { (self.engine, self.targets) = (engine, targets) }

  /// The backups that are not removed, with the reasons.
  package func awaited() throws -> [PointID: [String]] { try union(\.awaited) }

  /// The backups that are not merged into others, with the reasons.
  package func promised() throws -> [PointID: [String]] { try union(\.promised) }

  private func union(_ demand: (RememberedTarget) -> [PointID: [String]]) throws -> [PointID: [String]] {
    try targets.reduce(into: [:]) { all, target in
      all.merge(demand(try RememberedTarget(target, engine))) { $0 + $1 }
    }
  }
}
