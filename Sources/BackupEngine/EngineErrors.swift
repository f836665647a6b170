import BackupPolicy

/// Errors that several places raise.
extension HoldfastError {
  package static var noDatabaseNamed: HoldfastError {
    HoldfastError(.usage, "no database is named", hint: "use --database PATH, or set DATABASE_URL")
  }

  /// A mistyped password would go unnoticed until a restore needs the backup, so the newest one
  /// must open with it.
  static func wrongKey(forNewest point: PointID, of repository: Repository) -> HoldfastError {
    HoldfastError(
      .wrongKey,
      "the password or key does not open the newest backup of \(repository.folder), \(point)\(repository.credentials.tried)",
      hint: "use the same password or key for all backups of a folder, or another --backup-dir for a new one")
  }

  static var notAnArchive: HoldfastError {
    HoldfastError(
      .archiveCorrupt, "it does not begin with the header of an aes-256-gcm archive: it is damaged or was replaced")
  }

  /// - Parameter number: of the segment, from 0.
  static func forgedSegment(_ number: some BinaryInteger) -> HoldfastError {
    HoldfastError(.archiveCorrupt, "segment \(number) is not authentic: the file is damaged or was changed")
  }

  /// - Parameter file: a name of its kind, and its path.
  static func truncated(_ file: String) -> HoldfastError {
    HoldfastError(.failed, "\(file) was truncated")
  }
}
