import BackupPolicy
import Names

/// The fixed part of an archive's header, which identifies the backup. `contrib/docs/reference/format.md` has the
/// byte table.
///
/// It is not encrypted. In an `aes-256-gcm` archive, the MAC behind it and the payload key, which
/// is derived from its hash, authenticate it. An unencrypted incremental also has one, protected by
/// a CRC.
package struct ArchiveHeader: Hashable, Sendable {
  package static let magic: [UInt8] = [0x89, 0x48, 0x46, 0x41, 0x0d, 0x0a, 0x1a, 0x0a]
  static let version: UInt16 = 1
  static let segmentSize = 65536
  static let numbersSize = 80
  /// No program writes more; anything longer is damage or malice.
  static let maximumSize = 1 << 20
  /// No repository reaches this number; larger ones would only overflow.
  static let maximumSequence: UInt64 = 1 << 62

  package enum Kind: UInt8, Sendable {
    case full = 1
    case incremental = 2
    /// A tar of damaged files.
    case raw = 3

    /// The kind as the metadata records it.
    package var backupKind: BackupKind {
      switch self {
      case .full: .full
      case .incremental: .incremental
      case .raw: .raw
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
    /// Page count (4), pages stored (4) and digest (16) of an unencrypted incremental, which has no
    /// trailer.
    case image
    /// 16 random bytes of an incremental that compaction wrote, so that its fixed part, and the key
    /// derived from it, are unique.
    case unique
    /// Free pages (4), tables (4), and the marks of some tables (4 each).
    case content = 12
    /// The anomalies of the database, as a JSON array.
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
  /// Tagged fields, including unknown ones.
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
  /// - Throws: `archiveCorrupt` with the defect; `failed` if the version is newer than this
  ///   program.
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
    else { throw HoldfastError(.archiveCorrupt, "the archive's header contains invalid values") }
    self.init(
      repositoryID: repositoryID, sequence: sequence, created: Timestamp(milliseconds: created), pageSize: pageSize,
      kind: kind, compressed: kinds[1] == 1, parentDigest: parentDigest, id: id, parentID: PointID(parentText),
      fields: fields)
    isSealed = kinds[2] == 1
    guard (kind == .incremental) == (parentID != nil), isSealed || kind == .incremental else {
      throw HoldfastError(.archiveCorrupt, "the archive's header contains invalid values")
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

/// The last segment of an `aes-256-gcm` archive, with the values that are known only at the end of
/// the backup.
struct ArchiveTrailer: Hashable, Sendable {
  /// Bytes of the image.
  var imageSize: UInt64
  /// Bytes of the payload: the image itself, or its gzip members.
  var payloadSize: UInt64
  var pageCount: UInt32
  /// ``PageDigest`` of the database, 16 bytes.
  var digest: [UInt8]
  /// 32 bytes; see ``PageDigest/Secret``.
  var digestKey: [UInt8]
  /// The distance between two members that have an offset in ``memberOffsets``.
  var memberStride: UInt32
  /// Payload offsets of members 0, stride, 2 · stride, …; at most 4096.
  var memberOffsets: [UInt64]
  /// Rows of each table; nil if they were not counted, or if there are too many to store here.
  var tableCounts: [Identifier: Int64?]?
  /// Pages that an incremental holds; nil for a full.
  var pagesStored: UInt32?

  /// The trailer is one segment: the member index takes half of it, and a schema of thousands of
  /// tables is stored only in the JSON.
  private static let maximumCounts = 24 << 10
  static let maximumOffsets = 4096

  func encoded() -> [UInt8] {
    var writer = ByteWriter()
    writer.field(1, Self.bytes(imageSize))
    writer.field(2, Self.bytes(payloadSize))
    writer.field(3, Self.bytes(pageCount))
    writer.field(4, digest)
    writer.field(5, digestKey)
    writer.field(6, Self.bytes(memberStride) + memberOffsets.flatMap { Self.bytes($0) })
    if let counts = tableCounts?.json.encoded(), counts.count <= Self.maximumCounts { writer.field(7, counts) }
    if let pagesStored { writer.field(8, Self.bytes(pagesStored)) }
    return writer.bytes
  }

  init?(_ bytes: [UInt8]) {
    var reader = ByteReader(bytes)
    guard let fields = reader.fields(), let imageSize: UInt64 = Self.integer(fields[1]),
      let payloadSize: UInt64 = Self.integer(fields[2]), let pageCount: UInt32 = Self.integer(fields[3]),
      let digest = fields[4], digest.count == 16, let digestKey = fields[5], digestKey.count == 32,
      var index = fields[6].map({ ByteReader($0) }), let stride = index.integer(UInt32.self),
      index.remaining.isMultiple(of: 8)
    else { return nil }
    var offsets: [UInt64] = []
    while let offset = index.integer(UInt64.self) { offsets.append(offset) }
    self.init(
      imageSize: imageSize, payloadSize: payloadSize, pageCount: pageCount, digest: digest, digestKey: digestKey,
      memberStride: stride, memberOffsets: offsets,
      tableCounts: fields[7].flatMap { JSONValue(parsing: $0) }.flatMap { [Identifier: Int64?]($0) },
      pagesStored: Self.integer(fields[8]))
  }

  init(
    imageSize: UInt64, payloadSize: UInt64, pageCount: UInt32, digest: [UInt8], digestKey: [UInt8],
    memberStride: UInt32, memberOffsets: [UInt64], tableCounts: [Identifier: Int64?]?, pagesStored: UInt32? = nil
  ) {
    self.pagesStored = pagesStored
    self.imageSize = imageSize
    self.payloadSize = payloadSize
    self.pageCount = pageCount
    self.digest = digest
    self.digestKey = digestKey
    self.memberStride = memberStride
    self.memberOffsets = memberOffsets
    self.tableCounts = tableCounts
  }

  private static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
  }

  private static func integer<Value: FixedWidthInteger>(_ bytes: [UInt8]?) -> Value? {
    guard let bytes, bytes.count == MemoryLayout<Value>.size else { return nil }
    return bytes.reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) }
  }
}

/// Collects member offsets at a stride that grows, so that their number never exceeds the trailer's
/// limit.
struct MemberIndex {
  private(set) var stride: UInt32 = 1
  private(set) var offsets: [UInt64] = []
  private var count: UInt64 = 0

  mutating func add(offset: UInt64) {
    if count.isMultiple(of: UInt64(stride)) {
      if offsets.count == ArchiveTrailer.maximumOffsets {
        offsets = offsets.enumerated().compactMap { $0.offset.isMultiple(of: 2) ? $0.element : nil }
        stride *= 2
      }
      if count.isMultiple(of: UInt64(stride)) { offsets.append(offset) }
    }
    count += 1
  }
}

/// Builds big-endian byte tables.
struct ByteWriter {
  private(set) var bytes: [UInt8] = []

  mutating func integer(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func raw(_ data: some Sequence<UInt8>) {
    bytes.append(contentsOf: data)
  }

  /// A two-byte length and the text's UTF-8.
  mutating func shortText(_ text: String) {
    integer(UInt16(text.utf8.count))
    raw(text.utf8)
  }

  /// Tag (2 bytes), length (4 bytes), bytes.
  mutating func field(_ tag: UInt16, _ data: some Collection<UInt8>) {
    integer(tag)
    integer(UInt32(data.count))
    raw(data)
  }

  /// Overwrites a 4-byte integer written earlier.
  mutating func patch(_ value: UInt32, at offset: Int) {
    withUnsafeBytes(of: value.bigEndian) { bytes.replaceSubrange(offset..<(offset + 4), with: $0) }
  }
}

/// Reads big-endian byte tables; every read is checked and returns nil past the end.
struct ByteReader {
  private let bytes: ArraySlice<UInt8>
  private(set) var position: Int

  init(_ bytes: some Collection<UInt8>) {
    self.bytes = Array(bytes)[...]
    position = 0
  }

  var remaining: Int { bytes.count - position }

  mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) -> Value? {
    guard let raw = raw(MemoryLayout<Value>.size) else { return nil }
    return raw.reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) }
  }

  mutating func raw(_ count: Int) -> [UInt8]? {
    guard count >= 0, count <= remaining else { return nil }
    defer { position += count }
    return Array(bytes[position..<(position + count)])
  }

  mutating func shortText() -> String? {
    integer(UInt16.self).flatMap { raw(Int($0)) }.flatMap { String(validating: $0, as: UTF8.self) }
  }

  /// Reads tagged fields up to the end; the last field of each tag counts. Returns nil if one is
  /// cut short.
  mutating func fields() -> [UInt16: [UInt8]]? {
    var result: [UInt16: [UInt8]] = [:]
    while remaining > 0 {
      guard let tag = integer(UInt16.self), let count = integer(UInt32.self), let data = raw(Int(count)) else {
        return nil
      }
      result[tag] = data
    }
    return result
  }
}
