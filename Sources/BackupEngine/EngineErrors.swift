import BackupPolicy
import SQLitePages

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

extension HoldfastError {
  /// Converts SQLite's failure into this project's terms.
  package init(_ error: DatabaseError) {
    let (code, hint): (Code, String?) =
      switch error.kind {
      case .missing: (.databaseMissing, "check the path: a database is never created by a backup")
      case .notAFile, .notADatabase: (.notADatabase, "--database names an SQLite database file")
      case .corrupt:
        (
          .databaseCorrupt,
          "keep a copy of the file and its -wal; run PRAGMA integrity_check in sqlite3 for details"
        )
      case .busy: (.busy, "try again when the application is idle")
      case .exclusive:
        (.busy, "the application holds it with locking_mode=EXCLUSIVE; let it close the database or use NORMAL")
      case .logDeleted(let process):
        (
          .logDeleted,
          "stop \(process) cleanly, so that it checkpoints its log, and restart it; then back up"
        )
      case .logElsewhere(let process, let name):
        (
          .logDeleted,
          "--database \(name), as \(process) opens it; a container needs the folder mounted, not the file"
        )
      case .transactionInDoubt:
        (
          .refused,
          "run as root or as the application's user, to detect the process that has it open, or wait ten minutes"
        )
      case .indexUnlocked(nil):
        (.refused, "restart the application; it should not open the files of its database itself")
      case .indexUnlocked(let process?), .journalUnlocked(let process):
        (.refused, "restart \(process); it should not open the files of its database itself")
      case .hardLinked(let other):
        (.refused, other.map { "--database \($0)" } ?? Self.names(of: error.path))
      case .mountedAlone:
        (.refused, "mount the folder of the database, not the file (docker run -v /srv/app:/srv/app)")
      case .unstable: (.busy, "the database was changed faster than it could be read; try again")
      case .permission: (.permissionDenied, "run as the user that owns the database, or as root")
      case .noSpace: (.noSpace, "free some space on that file system, and check that ulimit -f sets no limit")
      case .noDescriptor:
        (.failed, "raise the limit of open files (ulimit -n, or LimitNOFILE= in the systemd unit)")
      case .ioError: (.ioError, "check the disk: the kernel's log (dmesg) names the device")
      case .interrupted: (.interrupted, nil)
      case .missingExtension, .other: (.failed, nil)
      }
    self.init(code, error.message, hint: hint, cause: error)
  }

  /// A copy by `cp -al` is the usual origin of an unexpected second name.
  private static func names(of path: String) -> String {
    "find / -samefile '\(path)' lists its names; name the one that the application opens, and remove the others "
      + "(cp -al makes second names, not copies)"
  }
}

/// Runs `body` on SQLite and translates its error.
package func onDatabase<Result>(_ body: () throws -> Result) throws -> Result {
  do {
    return try body()
  } catch let error as DatabaseError {
    throw HoldfastError(error)
  }
}
