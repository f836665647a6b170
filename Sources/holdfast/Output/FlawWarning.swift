import BackupPolicy

/// What people are told of a backup whose database SQLite's checks found flawed.
enum FlawWarning {
  static func lines(_ id: PointID, _ findings: [String]) -> [String] {
    guard !findings.isEmpty else { return [] }
    return [
      "holdfast: warning: SQLite's checks found a flaw in the database in \(id): "
        + findings.joined(separator: "; ").printable,
      "holdfast: hint: \(id) holds it as it was and can be restored; PRAGMA integrity_check in the application tells more",
    ]
  }
}
