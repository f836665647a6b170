/// Whether a point can be restored at all, according to the repository's listing.
package enum PointCondition: Hashable, Sendable {
  case whole
  /// A copy of damaged files as they were found.
  case rawCopy
  case archiveMissing
  /// A point on which it builds is damaged or missing.
  case chainBroken(reason: String, advice: String)
  /// It failed a verification, or its metadata is damaged.
  case failed(reason: String?, advice: String?)
}

/// Whether a file can be put into the target's folder.
package enum FolderCondition: Hashable, Sendable {
  case writable
  case missing
  case readOnly
}

extension RestorePolicy {
  /// The reason why the point cannot be restored to any target; nil if it can.
  package static func refusal(of id: PointID, _ condition: PointCondition) -> RestoreRefusal? {
    switch condition {
    case .whole: nil
    case .rawCopy:
      RestoreRefusal(
        .refused, "\(id) is a copy of damaged files as they were found, not a database to restore",
        hint: "contrib/recover.py writes it out as a tar of those files")
    case .archiveMissing:
      RestoreRefusal(
        .pointNotFound, "the archive of \(id) is missing", hint: "holdfast list shows the existing backups")
    case .chainBroken(let reason, let advice):
      RestoreRefusal(.verificationFailed, reason, hint: advice)
    case .failed(let reason, let advice):
      RestoreRefusal(
        .verificationFailed, "\(id) cannot be restored: \(reason ?? "its status is failed")",
        hint: "\(advice ?? "holdfast list shows the other backups"); holdfast verify \(id) looks at this one again")
    }
  }

  /// The reason why no file can be put at the target's path; nil if one can.
  package static func refusal(
    of target: String, in name: String, _ folder: FolderCondition
  ) -> RestoreRefusal? {
    switch folder {
    case .writable: nil
    case .missing:
      RestoreRefusal(
        .failed, "cannot restore to \(target): there is no folder \(name)",
        hint: "create the folder first: mkdir -p \(name)")
    case .readOnly:
      RestoreRefusal(
        .permissionDenied, "cannot restore to \(target): the folder \(name) cannot be written",
        hint: "a restore needs room beside the database; run as a user who may write there")
    }
  }
}
