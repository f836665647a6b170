import BackupPolicy

/// What seals a repository's next archives; made once, since it may cost a key derivation.
struct RepositorySeal {
  let identity: RepositoryIdentity
  let digestKey: SecretBytes
  private let secrets: ArchiveSecrets

  init(_ identity: RepositoryIdentity, _ credentials: Credentials) throws {
    self.identity = identity
    secrets = try ArchiveSecrets(credentials, salt: identity.salt, iterations: identity.iterations)
    digestKey = try secrets.digestKey(repositoryID: identity.id)
  }

  /// Head and keys of one new archive.
  func seal(_ header: ArchiveHeader) throws -> ArchiveSeal {
    let fileKey = SecretBytes(try SecretBytes.random(32))
    let head = try SealedHeader(header, fileKey: fileKey, secrets: secrets)
    return ArchiveSeal(head: head, payloadKey: try head.payloadKey(fileKey))
  }
}

/// Head and payload key of one authenticated archive.
struct ArchiveSeal {
  var head: SealedHeader
  var payloadKey: SecretBytes
}

extension CreateRequest {
  /// As ``ChainFacts/protection`` spells it.
  var protection: String { encrypt ? cipher.rawValue : "none" }

  /// - Throws: `keyMissing` where backups are to be encrypted and nothing is there to do it with.
  func requireKey(_ credentials: Credentials) throws {
    guard encrypt && credentials.isEmpty else { return }
    throw HoldfastError(
      .keyMissing, "backups are encrypted, and neither a password nor a key is given",
      hint: "holdfast init makes a key file, BACKUP_ENCRYPTION_PASSWORD gives a password, --no-encrypt does without")
  }

  /// What is known of a new point before it is written.
  func metadata(
    _ id: PointID, sequence: UInt64, _ content: ArchiveName.Content, of database: DatabaseShape,
    _ environment: EngineEnvironment, created: Timestamp
  ) -> PointMetadata {
    let name = ArchiveName(id: id, content: content, compressed: compress, encrypted: encrypt)
    var metadata = PointMetadata(id: id, filename: name.text, created: created)
    metadata.backupType = backupType
    metadata.pinned = metadata.isPinnedByType
    metadata.encrypted = encrypt
    metadata.compressed = compress
    metadata.cipher = encrypt ? cipher : nil
    metadata.description = description
    metadata.tags = tags
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
