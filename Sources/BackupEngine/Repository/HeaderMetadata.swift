import BackupPolicy

extension ArchiveHeader {
  /// Returns the tagged fields of a backup that is about to be written.
  static func fields(of metadata: PointMetadata) -> [UInt16: [UInt8]] {
    var fields: [UInt16: [UInt8]] = [:]
    func set(_ tag: Tag, _ text: String?) { fields[tag.rawValue] = text.map { Array($0.utf8) } }
    set(.backupType, metadata.backupType.rawValue)
    set(.description, metadata.description)
    set(.tags, text(of: metadata.tags))
    set(.schemaVersion, metadata.schemaVersion)
    set(.databasePath, metadata.databasePath)
    set(.host, metadata.host)
    set(.holdfastVersion, metadata.holdfastVersion)
    set(.chainID, metadata.chainID?.text)
    fields[Tag.content.rawValue] = metadata.contentField
    fields[Tag.attributes.rawValue] = metadata.databaseAttributes?.encoded
    if !metadata.anomalies.isEmpty { set(.anomalies, text(of: metadata.anomalies)) }
    if !metadata.otherPaths.isEmpty { set(.otherPaths, text(of: metadata.otherPaths)) }
    return fields
  }

  private static func text(of list: [String]) -> String {
    String(decoding: JSONValue.array(list.map { .string($0) }).encoded(), as: UTF8.self)
  }

  private func list(_ tag: Tag) -> [String]? {
    guard let bytes = fields[tag.rawValue], case .array(let items) = JSONValue(parsing: bytes) else { return nil }
    return items.compactMap { if case .string(let text) = $0 { text } else { nil } }
  }

  /// Makes the metadata agree with this header, because the header is authenticated and the JSON is
  /// not.
  func overwrite(_ metadata: inout PointMetadata) {
    metadata.created = created
    metadata.sequence = sequence
    metadata.kind = kind.backupKind
    metadata.parentID = parentID
    metadata.chainID = text(Tag.chainID.rawValue).flatMap(PointID.init) ?? id
    metadata.repositoryID = isSealed ? repositoryID.hex : nil
    metadata.pageSize = Int(pageSize)
    metadata.compressed = compressed
    metadata.encrypted = isSealed
    metadata.cipher = isSealed ? .aes256GCM : nil
    if let field = fields[Tag.content.rawValue] { metadata.readContent(field) }
    // The database's path decides which users of the repository see the backup.
    if let path = text(Tag.databasePath.rawValue) { metadata.databasePath = path }
    metadata.otherPaths = list(.otherPaths) ?? []
    metadata.anomalies = list(.anomalies) ?? []
    metadata.resolveAnomaly()
    metadata.databaseAttributes = fields[Tag.attributes.rawValue].flatMap { FileAttributes(encoded: $0) }
    guard let image else { return }
    metadata.pageCount = image.pageCount
    metadata.pagesStored = image.pagesStored
    metadata.originalSize = Int64(image.pageCount) * Int64(pageSize)
    metadata.digest = image.digest.hex
  }

  /// The image that an unencrypted incremental describes; nil if the header is sealed or has no
  /// valid description.
  var image: (pageCount: UInt32, pagesStored: UInt32, digest: [UInt8])? {
    guard !isSealed, var reader = fields[Tag.image.rawValue].map({ ByteReader($0) }),
      let pageCount = reader.integer(UInt32.self), let stored = reader.integer(UInt32.self),
      let digest = reader.raw(16), reader.remaining == 0
    else { return nil }
    return (pageCount, stored, digest)
  }

  mutating func setImage(pageCount: UInt32, pagesStored: UInt32, digest: [UInt8]) {
    var image = ByteWriter()
    image.integer(pageCount)
    image.integer(pagesStored)
    image.raw(digest)
    fields[Tag.image.rawValue] = image.bytes
  }

  /// Returns metadata that is made from this header alone.
  func metadata(filename: String, archiveSize: Int64) -> PointMetadata {
    var metadata = PointMetadata(id: id, filename: filename, created: created)
    overwrite(&metadata)
    metadata.compressedSize = archiveSize
    metadata.backupType = text(Tag.backupType.rawValue).map { BackupType(rawValue: $0) } ?? .manual
    metadata.pinned = metadata.isPinnedByType
    metadata.description = text(Tag.description.rawValue)
    metadata.tags = list(.tags) ?? []
    metadata.schemaVersion = text(Tag.schemaVersion.rawValue)
    metadata.host = text(Tag.host.rawValue)
    metadata.holdfastVersion = text(Tag.holdfastVersion.rawValue)
    return metadata
  }

  /// Returns the keys of `metadata` whose values contradict this header.
  func contradictions(_ metadata: PointMetadata) -> [String] {
    var corrected = metadata
    overwrite(&corrected)
    // Each listing asks this of each backup, and both documents cost more than the rest of it.
    guard corrected != metadata else { return [] }
    guard case .object(let before) = metadata.json, case .object(let after) = corrected.json else { return [] }
    return after.keys.filter { before[$0] != after[$0] }
  }
}

extension FileAttributes {
  fileprivate var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.integer(permissions)
    writer.integer(owner)
    writer.integer(group)
    return writer.bytes
  }

  fileprivate init?(encoded bytes: [UInt8]) {
    var reader = ByteReader(bytes)
    guard let permissions = reader.integer(UInt32.self), permissions <= 0o7777,
      let owner = reader.integer(UInt32.self), let group = reader.integer(UInt32.self), reader.remaining == 0
    else { return nil }
    self.init(permissions: permissions, owner: owner, group: group)
  }
}

extension PointMetadata {
  /// Copies the facts of the authenticated trailer.
  mutating func apply(_ trailer: ArchiveTrailer) {
    originalSize = Int64(clamping: trailer.imageSize)
    pageCount = trailer.pageCount
    pagesStored = trailer.pagesStored ?? trailer.pageCount
    digest = trailer.digest.hex
    tableCounts = trailer.tableCounts
    totalRecords = tableCounts?.total
  }
}
