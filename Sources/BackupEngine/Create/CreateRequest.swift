import BackupPolicy

/// A request for a backup.
package struct CreateRequest: Sendable {
  package var archive: ArchiveOptions
  package var reason: BackupReason

  package init(_ archive: ArchiveOptions = ArchiveOptions(), for reason: BackupReason = BackupReason()) {
    self.archive = archive
    self.reason = reason
  }
}

/// The form in which archives are written.
package struct ArchiveOptions: Hashable, Sendable {
  package var encrypt = true
  package var compress = true
  package var level = CompressionLevel.standard
  /// Only if they are encrypted.
  package var cipher = ArchiveCipher.aes256GCM

  package init() {}

  var protection: Protection { encrypt ? cipher.protection : .none }

  /// - Throws: `keyMissing` if archives are to be encrypted and there is neither a password nor a
  ///   key.
  package func requireKey(_ credentials: Credentials) throws {
    guard encrypt && credentials.isEmpty else { return }
    throw HoldfastError(
      .keyMissing, "backups are encrypted, but there is neither a password nor a key",
      hint: "create a key file with holdfast init, set BACKUP_ENCRYPTION_PASSWORD, or use --no-encrypt")
  }
}

/// The reason for a backup.
package struct BackupReason: Hashable, Sendable {
  package var type: BackupType
  /// A description for people.
  package var description: String?
  /// Words by which to find the backup.
  package var tags: [String]

  package init(_ type: BackupType = .manual, description: String? = nil, tags: [String] = []) {
    self.type = type
    self.description = description
    self.tags = tags
  }
}

extension CreateRequest {
  /// Returns the facts of a new backup that are known before it is written.
  func metadata(
    _ id: PointID, sequence: UInt64, _ content: ArchiveName.Content, of database: DatabaseShape,
    _ environment: EngineEnvironment, created: Timestamp
  ) -> PointMetadata {
    let name = ArchiveName(id: id, content: content, compressed: archive.compress, encrypted: archive.encrypt)
    var metadata = PointMetadata(id: id, filename: name.text, created: created)
    metadata.backupType = reason.type
    metadata.pinned = metadata.isPinnedByType
    metadata.description = reason.description
    metadata.tags = reason.tags
    metadata.encrypted = archive.encrypt
    metadata.compressed = archive.compress
    metadata.cipher = archive.encrypt ? archive.cipher : nil
    metadata.chainID = id
    metadata.sequence = sequence
    metadata.originalSize = Int64(database.pageSize) * Int64(database.pageCount)
    metadata.pageSize = database.pageSize
    metadata.pageCount = database.pageCount
    metadata.pagesStored = database.pageCount
    metadata.databasePath = database.path
    metadata.databaseAttributes = database.attributes
    metadata.host = environment.host
    metadata.holdfastVersion = holdfastVersion
    return metadata
  }
}
