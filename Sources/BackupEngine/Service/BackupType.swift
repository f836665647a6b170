/// Why a backup was taken; the metadata's `backup_type`. Retention counts the first three, and keeps the others by age.
public enum BackupType: String, Sendable, CaseIterable {
  /// Somebody asked for it.
  case manual
  /// Its time had come.
  case scheduled
  /// The database had changed.
  case change
  /// What a restore found in place.
  case safety
  /// Taken before a command that might do harm.
  case `guard`
}
