import BackupPolicy
import CISAL

/// The frame of one gzip member (RFC 1952) with its own size in an extra field; `contrib/FORMAT.md` has the byte table.
///
/// Members are independent, so that several threads compress and decompress; the size lets a reader find the next one, as
/// BGZF does. Every gunzip reads the whole.
enum GzipMember {
  /// Bytes of the image in every member but the last.
  static let chunkSize = 1 << 20
  static let headerSize = 20
  static let trailerSize = 8
  /// Deflate never grows a chunk by more than this (stored blocks), and neither does a well-formed member.
  static let maximumSize = maximumSize(of: chunkSize)

  static func maximumSize(of chunk: Int) -> Int { chunk + chunk / 8 + 1024 }

  static func writeHeader(memberSize: Int, to output: UnsafeMutableRawBufferPointer) {
    output.copyBytes(from: [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, 0x48, 0x46, 4, 0])
    output.storeBytes(of: UInt32(memberSize).littleEndian, toByteOffset: 16, as: UInt32.self)
  }

  /// The size of the member that begins with these bytes, or nil where they are not a header of ours.
  static func size(_ header: UnsafeRawBufferPointer) -> Int? {
    guard header.count >= headerSize, header.starts(with: [0x1f, 0x8b, 8, 4, 0, 0, 0, 0]),
      header[10] == 8, header[11] == 0, header[12] == 0x48, header[13] == 0x46, header[14] == 4, header[15] == 0
    else { return nil }
    let size = Int(UInt32(littleEndian: header.loadUnaligned(fromByteOffset: 16, as: UInt32.self)))
    return size >= headerSize + trailerSize && size <= maximumSize ? size : nil
  }

  static func crc(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    crc32_gzip_refl(0, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt64(bytes.count))
  }
}

/// Inflates members of ours; used by one thread at a time.
final class GzipMemberDecoder {
  // ISA-L's state is tens of kilobytes of plain C memory, owned here from init to deinit.
  private let state: UnsafeMutablePointer<inflate_state>

  init() {
    state = .allocate(capacity: 1)
    isal_inflate_init(state)
  }

  deinit {
    state.deallocate()
  }

  /// Inflates one whole member into `output` and returns the count of bytes.
  ///
  /// - Throws: `archiveCorrupt` where the frame, the deflate data, the CRC or the size is wrong, or `output` too small.
  func decode(_ member: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws -> Int {
    guard GzipMember.size(member) == member.count else { throw Self.damaged("the header of a gzip member is wrong") }
    let deflated = UnsafeRawBufferPointer(
      rebasing: member[GzipMember.headerSize..<(member.count - GzipMember.trailerSize)])
    var made: UInt32 = 0
    var used: UInt32 = 0
    let result = cisal_inflate(
      state, deflated.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt32(deflated.count),
      output.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt32(output.count), &made, &used)
    let trailer = member.count - GzipMember.trailerSize
    let crc = UInt32(littleEndian: member.loadUnaligned(fromByteOffset: trailer, as: UInt32.self))
    let size = UInt32(littleEndian: member.loadUnaligned(fromByteOffset: trailer + 4, as: UInt32.self))
    guard result == ISAL_DECOMP_OK, size == made else { throw Self.damaged("a gzip member does not decompress") }
    guard GzipMember.crc(UnsafeRawBufferPointer(rebasing: output[..<Int(made)])) == crc else {
      throw Self.damaged("the CRC of a gzip member is wrong")
    }
    return Int(made)
  }

  private static func damaged(_ what: String) -> HoldfastError {
    HoldfastError(.archiveCorrupt, what, cause: ArchiveStage.decompression)
  }
}
