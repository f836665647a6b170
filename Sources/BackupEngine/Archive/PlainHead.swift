import BackupPolicy

/// What an unencrypted incremental begins with: the fixed part of a header and its CRC-32.
///
/// A full without encryption is the bare image; pages alone would not say whose they are.
enum PlainHead {
  /// A reader finds the list of pages behind it in the first member.
  static let maximumSize = 65536

  static func encode(_ header: ArchiveHeader) throws -> [UInt8] {
    let fixed = header.encoded()
    guard fixed.count <= maximumSize else {
      throw HoldfastError(
        .usage, "description and tags are too long: the header would have \(fixed.count) bytes",
        hint: "at most \(maximumSize) bytes; shorten them")
    }
    var writer = ByteWriter()
    writer.raw(fixed)
    writer.integer(fixed.withUnsafeBytes { GzipMember.crc($0) })
    return writer.bytes
  }

  /// Bytes of the whole head, told by its first 16.
  static func size(_ start: UnsafeRawBufferPointer) throws -> Int {
    guard start.count >= 16, start.starts(with: ArchiveHeader.magic) else { throw damaged }
    let length = Int(UInt32(bigEndian: start.loadUnaligned(fromByteOffset: 12, as: UInt32.self)))
    guard length >= ArchiveHeader.numbersSize, length <= maximumSize else { throw damaged }
    return length + 4
  }

  static func decode(_ bytes: UnsafeRawBufferPointer) throws -> ArchiveHeader {
    let fixed = UnsafeRawBufferPointer(rebasing: bytes.dropLast(4))
    let crc = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: fixed.count, as: UInt32.self))
    guard GzipMember.crc(fixed) == crc else {
      throw HoldfastError(.archiveCorrupt, "the CRC of its header is wrong")
    }
    let header = try ArchiveHeader(Array(fixed))
    guard !header.isSealed, header.image != nil, header.pageSize > 0 else { throw damaged }
    return header
  }

  /// The header of an unencrypted incremental.
  static func read(_ file: OpenFile, compressed: Bool, _ files: any FileOperations) throws -> ArchiveHeader {
    let source = PlainSource(try HashingFileReader(file, files))
    return try PagesPayload(source, compressed: compressed, tick: {}).readPlainHead()
  }

  private static var damaged: HoldfastError { HoldfastError(.archiveCorrupt, "its header is damaged") }
}
