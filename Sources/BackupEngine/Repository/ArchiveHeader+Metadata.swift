import BackupPolicy

extension ArchiveHeader {
  /// The tagged fields of a point that is about to be written.
  static func fields(of metadata: PointMetadata) -> [UInt16: [UInt8]] {
    var fields: [UInt16: [UInt8]] = [:]
    func set(_ tag: Tag, _ text: String?) { fields[tag.rawValue] = text.map { Array($0.utf8) } }
    set(.backupType, metadata.backupType)
    set(.description, metadata.description)
    set(.tags, String(decoding: JSONValue.array(metadata.tags.map { .string($0) }).encoded(), as: UTF8.self))
    set(.schemaVersion, metadata.schemaVersion)
    set(.databasePath, metadata.databasePath)
    set(.host, metadata.host)
    set(.holdfastVersion, metadata.holdfastVersion)
    set(.chainID, metadata.chainID?.text)
    return fields
  }

  /// Makes metadata say what this header says; the header is authenticated and the JSON is not.
  func overwrite(_ metadata: inout PointMetadata) {
    metadata.created = created
    metadata.sequence = sequence
    metadata.kind = kind.name
    metadata.parentID = parentID
    metadata.chainID = text(Tag.chainID.rawValue).flatMap(PointID.init) ?? id
    metadata.repositoryID = repositoryID.hex
    metadata.pageSize = Int(pageSize)
    metadata.compressed = compressed
    metadata.encrypted = true
    metadata.cipher = .aes256GCM
  }

  /// Metadata made from nothing but this header.
  func metadata(filename: String, archiveSize: Int64) -> PointMetadata {
    var metadata = PointMetadata(id: id, filename: filename, created: created)
    overwrite(&metadata)
    metadata.compressedSize = archiveSize
    metadata.backupType = text(Tag.backupType.rawValue) ?? "manual"
    metadata.description = text(Tag.description.rawValue)
    if let bytes = fields[Tag.tags.rawValue], case .array(let items) = JSONValue(parsing: bytes) {
      metadata.tags = items.compactMap { if case .string(let tag) = $0 { tag } else { nil } }
    }
    metadata.schemaVersion = text(Tag.schemaVersion.rawValue)
    metadata.databasePath = text(Tag.databasePath.rawValue)
    metadata.host = text(Tag.host.rawValue)
    metadata.holdfastVersion = text(Tag.holdfastVersion.rawValue)
    return metadata
  }

  /// Which keys of some metadata contradict this header.
  func contradictions(_ metadata: PointMetadata) -> [String] {
    var corrected = metadata
    overwrite(&corrected)
    guard case .object(let before) = metadata.json, case .object(let after) = corrected.json else { return [] }
    return after.keys.filter { before[$0] != after[$0] }.sorted()
  }
}

extension PointMetadata {
  /// Takes over what the authenticated trailer says.
  mutating func apply(_ trailer: ArchiveTrailer) {
    originalSize = Int64(clamping: trailer.imageSize)
    pageCount = trailer.pageCount
    pagesStored = pagesStored ?? trailer.pageCount
    digest = trailer.digest.hex
    tableCounts = trailer.tableCounts
    totalRecords = tableCounts?.total
  }
}
