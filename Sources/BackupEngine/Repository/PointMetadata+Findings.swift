import BackupPolicy

/// Flaws of the database that was backed up, which are no flaws of the backup.
extension PointMetadata {
  /// Whether SQLite's checks found something in the database that was backed up.
  public var isFlawed: Bool { !findings.isEmpty }

  private static let mostFindings = 10
  private static let longestFinding = 500

  /// ``findings`` in one line, as SQLite words them; nil if there are none.
  package var findingsInWords: String? {
    guard isFlawed else { return nil }
    return findings.joined(separator: "; ") + (findingsSQLiteVersion.map { " (SQLite \($0))" } ?? "")
  }

  /// Records what SQLite's checks found; an empty list ends what an earlier check found.
  mutating func record(_ findings: [String], sqliteVersion: String, at time: Timestamp) {
    self.findings = findings.prefix(Self.mostFindings).map { String($0.prefix(Self.longestFinding)) }
    (findingsDate, findingsSQLiteVersion) = (time, sqliteVersion)
  }

  /// Older versions called a backup failed if SQLite's check of the database in it found something, after everything about
  /// the archive had been proven.
  mutating func separateOldFindings() {
    let name = Check.Name.integrity
    guard status == .failed, kind != "raw", !verificationErrors.isEmpty,
      verificationErrors.allSatisfy({ $0.hasPrefix(name) })
    else { return }
    findings = verificationErrors.map { String($0.dropFirst(name.count).drop { $0 == ":" || $0 == " " }) }
    findingsDate = verificationDate
    verificationErrors = []
    status = .completed
    settleAnomaly()
  }
}
