/// The evidence from an archive whose clear metadata says that it failed.
package enum ArchiveEvidence: Hashable, Sendable {
  /// It failed again.
  case failed
  /// It is complete.
  case whole
  /// The archive is fine, but this backup, which it needs, cannot be used.
  case needs(PointID)
  /// It could not be examined: there is no key, or the disk had an error.
  case unknown
}

/// Decides which backups do not count as failed although their metadata says so.
///
/// Anyone who can write to the folder can write that word. A backup is removed as failed only if
/// its archive fails again, in the same run; otherwise it counts as not verified.
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
