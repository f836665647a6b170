/// The destination of a restored database.
package enum RestoreTarget: Hashable, Sendable {
  /// The repository's own database, in place.
  case database(path: String)
  /// A file that does not exist yet (`--to PATH`); an existing one is never overwritten.
  case newFile(path: String)

  package var path: String {
    switch self {
    case .database(let path), .newFile(let path): path
    }
  }
}

/// A person's request.
package struct RestoreRequest: Hashable, Sendable {
  /// The point to restore.
  package var pointID: PointID
  package var target: RestoreTarget
  /// Back up the target's content before it is changed; false only with `--no-safety-backup`.
  package var safetyBackup: Bool
  /// Verify the archive and check the staged image before it is installed; false only with
  /// `--no-verify`.
  package var verifyFirst: Bool
  /// Run the integrity check of the staged image even if one passed for the same digest.
  package var recheck: Bool
  /// Restore a point that this host cannot authenticate (`--accept-unauthenticated`).
  package var acceptUnauthenticated: Bool

  package init(
    pointID: PointID, target: RestoreTarget, safetyBackup: Bool = true, verifyFirst: Bool = true,
    recheck: Bool = false, acceptUnauthenticated: Bool = false
  ) {
    self.pointID = pointID
    self.target = target
    self.safetyBackup = safetyBackup
    self.verifyFirst = verifyFirst
    self.recheck = recheck
    self.acceptUnauthenticated = acceptUnauthenticated
  }
}
