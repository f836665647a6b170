import BackupPolicy

/// Any part of a full's image without reading the rest: of an `aes-256-gcm` archive, for there every segment proves itself.
///
/// A page costs the segments and the member that hold it; the members that were used last are kept. Used by one thread.
final class LazyFull {
  private let file: OpenFile
  private let files: any FileOperations
  private let compressed: Bool
  private let cipher: AESGCM
  private let headSize: Int64
  private let trailer: ArchiveTrailer
  private let payloadSize: Int64
  private let segmentCount: UInt64
  private let decoder = GzipMemberDecoder()
  private var members: [Int: [UInt8]] = [:]
  private var recent: [Int] = []
  private var offsets: [Int: Int64] = [:]

  /// Members of 1 MiB that are kept.
  private static let kept = 24

  /// - Returns: nil for an archive of another kind.
  /// - Throws: `archiveCorrupt`, `wrongKey`, `keyMissing`.
  init?(_ point: StoredPoint, _ file: OpenFile, _ credentials: Credentials, _ files: any FileOperations) throws {
    guard point.name.encrypted, point.name.content == .database, let head = try SealedHeader(file, files) else {
      return nil
    }
    guard head.header.id == point.id, head.header.compressed == point.name.compressed else { return nil }
    self.file = file
    self.files = files
    compressed = head.header.compressed
    cipher = try AESGCM(key: head.unlock(credentials), encrypts: false)
    headSize = Int64(head.size)
    let layout = try GCMLayout(size: files.size(file), headerSize: head.size, file, files)
    trailer = try layout.openFittingTrailer(cipher, file, files)
    segmentCount = layout.segments
    payloadSize = layout.plainBytes
  }

  /// Fills `buffer` from an offset of the image; it must not cross a mebibyte.
  func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard compressed else { return try readPayload(at: offset, into: buffer) }
    let number = Int(offset / Int64(GzipMember.chunkSize))
    let start = Int(offset % Int64(GzipMember.chunkSize))
    let bytes = try member(number)
    guard start + buffer.count <= bytes.count else { throw Self.short }
    bytes.withUnsafeBytes {
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + buffer.count]))
    }
  }

  private static var short: HoldfastError { HoldfastError(.archiveCorrupt, "a member of its image is too short") }

  private func member(_ number: Int) throws -> [UInt8] {
    recent.removeAll { $0 == number }
    recent.append(number)
    if let known = members[number] { return known }
    let bytes = try inflate(number)
    members[number] = bytes
    if recent.count > Self.kept { members[recent.removeFirst()] = nil }
    return bytes
  }

  private func inflate(_ number: Int) throws -> [UInt8] {
    let offset = try memberOffset(number)
    let size = try memberSize(at: offset)
    var sealed = [UInt8](repeating: 0, count: size)
    try sealed.withUnsafeMutableBytes { try readPayload(at: offset, into: $0) }
    return try [UInt8](unsafeUninitializedCapacity: GzipMember.chunkSize) { buffer, count in
      count = try sealed.withUnsafeBytes { try decoder.decode($0, into: UnsafeMutableRawBufferPointer(buffer)) }
    }
  }

  private func memberSize(at offset: Int64) throws -> Int {
    var header = [UInt8](repeating: 0, count: GzipMember.headerSize)
    try header.withUnsafeMutableBytes { try readPayload(at: offset, into: $0) }
    guard let size = header.withUnsafeBytes({ GzipMember.size($0) }) else {
      throw HoldfastError(.archiveCorrupt, "the header of a gzip member is damaged")
    }
    return size
  }

  /// From the trailer's index, which has every stride-th; between two of them members are followed by their sizes.
  private func memberOffset(_ number: Int) throws -> Int64 {
    if let known = offsets[number] { return known }
    let stride = max(1, Int(trailer.memberStride))
    guard number / stride < trailer.memberOffsets.count else { throw Self.short }
    var offset = Int64(clamping: trailer.memberOffsets[number / stride])
    for next in (number / stride * stride)..<number {
      offsets[next] = offset
      offset += Int64(try memberSize(at: offset))
    }
    offsets[number] = offset
    return offset
  }

  /// Decrypted payload bytes from anywhere in it.
  private func readPayload(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard offset >= 0, offset + Int64(buffer.count) <= payloadSize else { throw Self.short }
    let size = ArchiveHeader.segmentSize
    var plain = [UInt8](repeating: 0, count: size)
    var done = 0
    while done < buffer.count {
      let place = offset + Int64(done)
      let (segment, start) = (UInt64(place) / UInt64(size), Int(place % Int64(size)))
      let length = try open(segment, into: &plain)
      let count = min(buffer.count - done, length - start)
      guard count > 0 else { throw Self.short }
      plain.withUnsafeBytes { (buffer.baseAddress! + done).copyMemory(from: $0.baseAddress! + start, byteCount: count) }
      done += count
    }
  }

  private func open(_ segment: UInt64, into plain: inout [UInt8]) throws -> Int {
    let size = ArchiveHeader.segmentSize
    let length = Int(min(Int64(size), payloadSize - Int64(segment) * Int64(size)))
    guard segment < segmentCount, length > 0 else { throw Self.short }
    var sealed = [UInt8](repeating: 0, count: length + AESGCM.tagSize)
    let place = headSize + Int64(segment) * Int64(size + AESGCM.tagSize)
    let ok = try sealed.withUnsafeMutableBytes { input in
      guard try files.read(file, into: input, at: place) == input.count else { return false }
      return try plain.withUnsafeMutableBytes {
        try cipher.open(
          UnsafeRawBufferPointer(input), nonce: SegmentNonce.bytes(segment, last: false),
          into: UnsafeMutableRawBufferPointer(rebasing: $0[..<length]))
      }
    }
    guard ok else {
      throw HoldfastError(.archiveCorrupt, "segment \(segment) is not authentic: the file is damaged or was changed")
    }
    return length
  }
}
