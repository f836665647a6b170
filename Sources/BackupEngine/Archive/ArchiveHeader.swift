import BackupPolicy

/// The fixed part of an archive: who this point is. `contrib/FORMAT.md` has the byte table.
///
/// It is in the clear. In an `aes-256-gcm` archive the MAC behind it and the payload key, which is derived from its hash,
/// authenticate it; an unencrypted incremental carries one too, guarded by a CRC.
package struct ArchiveHeader: Hashable, Sendable {
  package static let magic: [UInt8] = [0x89, 0x48, 0x46, 0x41, 0x0d, 0x0a, 0x1a, 0x0a]
  static let version: UInt16 = 1
  static let segmentSize = 65536
  static let numbersSize = 80
  /// Nobody writes more; anything longer is damage or malice.
  static let maximumSize = 1 << 20
  /// No repository gets there; larger numbers would only overflow.
  static let maximumSequence: UInt64 = 1 << 62

  package enum Kind: UInt8, Sendable {
    case full = 1
    case incremental = 2
    /// A tar of damaged files.
    case raw = 3

    /// As the metadata spells it.
    package var name: String {
      switch self {
      case .full: "full"
      case .incremental: "incremental"
      case .raw: "raw"
      }
    }
  }

  /// Tags of the metadata that `rebuild` needs.
  enum Tag: UInt16 {
    case backupType = 1
    case description
    case tags
    case schemaVersion
    case databasePath
    case host
    // 7 is not used.
    case holdfastVersion = 8
    case chainID
    /// Page count (4), pages stored (4) and digest (16) of an unencrypted incremental, which has no trailer.
    case image
    /// 16 random bytes of a merged incremental, so that its fixed part, and the key derived from it, are its own.
    case unique
    /// Free pages (4), tables (4), and the marks of some tables (4 each).
    case content = 12
    /// What was odd about the database, as a JSON array.
    case anomalies
    /// Permission bits (4), owner (4) and group (4) of the database.
    case attributes
    /// Other paths of the database, as a JSON array.
    case otherPaths = 15
  }

  package var repositoryID: [UInt8]
  package var sequence: UInt64
  package var created: Timestamp
  package var pageSize: UInt32
  package var kind: Kind
  package var compressed: Bool
  /// Whether the archive is `aes-256-gcm`.
  package var isSealed = true
  package var parentDigest: [UInt8]
  package var id: PointID
  package var parentID: PointID?
  /// Tagged fields, unknown ones included.
  package var fields: [UInt16: [UInt8]]

  package func text(_ tag: UInt16) -> String? {
    fields[tag].flatMap { String(validating: $0, as: UTF8.self) }
  }

  func encoded() -> [UInt8] {
    var writer = ByteWriter()
    writer.raw(Self.magic)
    writer.integer(Self.version)
    writer.integer(UInt16(0))
    writer.integer(UInt32(0))
    writer.raw(repositoryID)
    writer.integer(sequence)
    writer.integer(created.milliseconds)
    writer.integer(pageSize)
    writer.raw([kind.rawValue, compressed ? 1 : 0, isSealed ? 1 : 0, 0])
    writer.integer(UInt32(Self.segmentSize))
    writer.integer(UInt32(0))
    writer.raw(parentDigest)
    writer.shortText(id.text)
    writer.shortText(parentID?.text ?? "")
    for (tag, data) in fields.sorted(by: { $0.key < $1.key }) { writer.field(tag, data) }
    writer.patch(UInt32(writer.bytes.count), at: 12)
    return writer.bytes
  }

  /// Reads a fixed part of exactly these bytes.
  ///
  /// - Throws: `archiveCorrupt` with what is wrong; `failed` for a version that is newer than this program.
  init(_ bytes: [UInt8]) throws {
    var reader = ByteReader(bytes)
    guard reader.raw(8) == Self.magic, let version = reader.integer(UInt16.self), reader.integer(UInt16.self) != nil,
      let length = reader.integer(UInt32.self), Int(length) == bytes.count, let repositoryID = reader.raw(16),
      let sequence = reader.integer(UInt64.self), let created = reader.integer(Int64.self),
      let pageSize = reader.integer(UInt32.self), let kinds = reader.raw(4), let segment = reader.integer(UInt32.self),
      reader.integer(UInt32.self) != nil, let parentDigest = reader.raw(16), let idText = reader.shortText(),
      let parentText = reader.shortText(), let fields = reader.fields()
    else { throw HoldfastError(.archiveCorrupt, "the archive's header is damaged") }
    guard version == Self.version else {
      throw HoldfastError(
        .failed, "the archive has format version \(version), and this program reads version \(Self.version)",
        hint: "use a newer holdfast")
    }
    guard let kind = Kind(rawValue: kinds[0]), kinds[1] <= 1, kinds[2] <= 1, Int(segment) == Self.segmentSize,
      let id = PointID(idText), parentText.isEmpty || PointID(parentText) != nil, Self.isPageSize(pageSize),
      sequence <= Self.maximumSequence
    else { throw HoldfastError(.archiveCorrupt, "the archive's header holds impossible values") }
    self.init(
      repositoryID: repositoryID, sequence: sequence, created: Timestamp(milliseconds: created), pageSize: pageSize,
      kind: kind, compressed: kinds[1] == 1, parentDigest: parentDigest, id: id, parentID: PointID(parentText),
      fields: fields)
    isSealed = kinds[2] == 1
    guard (kind == .incremental) == (parentID != nil), isSealed || kind == .incremental else {
      throw HoldfastError(.archiveCorrupt, "the archive's header holds impossible values")
    }
  }

  package init(
    repositoryID: [UInt8], sequence: UInt64, created: Timestamp, pageSize: UInt32, kind: Kind, compressed: Bool,
    parentDigest: [UInt8], id: PointID, parentID: PointID?, fields: [UInt16: [UInt8]]
  ) {
    self.repositoryID = repositoryID
    self.sequence = sequence
    self.created = created
    self.pageSize = pageSize
    self.kind = kind
    self.compressed = compressed
    self.parentDigest = parentDigest
    self.id = id
    self.parentID = parentID
    self.fields = fields
  }

  static func isPageSize(_ size: UInt32) -> Bool {
    size == 0 || (size >= 512 && size <= 65536 && size.nonzeroBitCount == 1)
  }
}
