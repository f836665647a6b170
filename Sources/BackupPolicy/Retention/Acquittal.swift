/// What an archive shows when its clear metadata says that it failed.
package enum ArchiveEvidence: Hashable, Sendable {
  /// It failed again.
  case failed
  /// It is whole.
  case whole
  /// Nothing is wrong with it, but this backup, which it needs, cannot be used.
  case needs(PointID)
  /// It could not be examined: there is no key, or the disk stumbles.
  case unknown
}

/// Decides which backups do not count as failed although their metadata says so.
///
/// Whoever can write the folder can write that word. A backup goes as failed only if its archive fails again, in the same run;
/// else it counts as one that was not verified.
package struct Acquittal: Hashable, Sendable {
  package private(set) var acquitted: Set<PointID> = []

  package init() {}

  /// - Parameter evidence: of the backups in their order, parents before their children.
  package mutating func add(_ id: PointID, _ evidence: ArchiveEvidence) {
    switch evidence {
    case .failed: break
    case .whole, .unknown: acquitted.insert(id)
    case .needs(let parent): if acquitted.contains(parent) { acquitted.insert(id) }
    }
  }
}
