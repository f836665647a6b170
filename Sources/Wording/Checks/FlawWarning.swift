import BackupPolicy
import Names

/// The warning for a backup if SQLite's checks found a flaw in its database.
package enum FlawWarning {
  /// - Parameter findings: of SQLite's checks of the database in the backup.
  /// - Returns: empty without findings.
  package static func lines(_ id: PointID, _ findings: [String]) -> [String] {
    guard !findings.isEmpty else { return [] }
    return [
      "holdfast: warning: SQLite's checks found a flaw in the database in \(id): "
        + findings.joined(separator: "; ").printable,
      "holdfast: hint: \(id) contains it unchanged and can be restored; run PRAGMA integrity_check in the application for details",
    ]
  }
}
