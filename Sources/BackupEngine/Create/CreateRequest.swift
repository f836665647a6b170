import BackupPolicy

/// A backup that is to be made.
package struct CreateRequest: Sendable {
  /// `manual`, `scheduled`, `change`, `safety` or `guard`.
  package var backupType = "manual"
  package var encrypt = true
  package var compress = true
  package var level = CompressionLevel.standard
  package var cipher = ArchiveCipher.aes256GCM
  package var description: String?
  package var tags: [String] = []

  package init() {}
}
