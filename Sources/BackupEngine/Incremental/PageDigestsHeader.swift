import BackupPolicy

/// What a table of page hashes is of.
struct PageDigestsHeader: Hashable, Sendable {
  static let magic: [UInt8] = [0x89, 0x48, 0x46, 0x44, 0x0d, 0x0a, 0x1a, 0x0a]
  static let version: UInt32 = 1
  /// The table begins here.
  static let size = 4096

  var point: PointID
  /// The point's digest: the XOR of the table, with page size and count mixed in.
  var digest: [UInt8]
  var pageSize: Int
  var pageCount: UInt32

  func encoded() -> [UInt8] {
    var writer = ByteWriter()
    writer.raw(Self.magic)
    writer.integer(Self.version)
    writer.integer(UInt32(pageSize))
    writer.integer(pageCount)
    writer.raw(digest)
    writer.shortText(point.text)
    writer.integer(writer.bytes.withUnsafeBytes { GzipMember.crc($0) })
    return writer.bytes
  }

  /// Nil for anything but a whole header of this version.
  init?(_ bytes: [UInt8]) {
    var reader = ByteReader(bytes)
    guard reader.raw(8) == Self.magic, reader.integer(UInt32.self) == Self.version,
      let pageSize = reader.integer(UInt32.self), let pageCount = reader.integer(UInt32.self),
      let digest = reader.raw(16), let point = reader.shortText().flatMap({ PointID($0) })
    else { return nil }
    let end = reader.position
    guard reader.integer(UInt32.self) == bytes.prefix(end).withContiguousStorage({ GzipMember.crc($0) }),
      ArchiveHeader.isPageSize(pageSize), pageSize > 0
    else { return nil }
    self.init(point: point, digest: digest, pageSize: Int(pageSize), pageCount: pageCount)
  }

  init(point: PointID, digest: [UInt8], pageSize: Int, pageCount: UInt32) {
    self.point = point
    self.digest = digest
    self.pageSize = pageSize
    self.pageCount = pageCount
  }

  static func offset(of page: UInt32) -> Int64 { Int64(size) + Int64(page - 1) * Int64(PageHash.size) }
}

extension Sequence<UInt8> {
  fileprivate func withContiguousStorage<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    Array(self).withUnsafeBytes(body)
  }
}
