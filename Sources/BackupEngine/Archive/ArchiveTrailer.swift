import BackupPolicy
import Names

/// The last segment of an `aes-256-gcm` archive: what only the end of the backup knew.
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
  /// Every how manieth member has an offset in ``memberOffsets``.
  var memberStride: UInt32
  /// Payload offsets of members 0, stride, 2 · stride, …; at most 4096.
  var memberOffsets: [UInt64]
  /// Rows of each table; nil where they were not counted, or are too many to stand here.
  var tableCounts: [Identifier: Int64?]?
  /// Pages that an incremental holds; nil for a full.
  var pagesStored: UInt32?

  /// The trailer is one segment: the member index has half of it, a schema of thousands of tables is left to the JSON.
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

/// Collects member offsets at a stride that grows so that there are never more than the trailer holds.
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
