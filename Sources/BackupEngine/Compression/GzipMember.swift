import BackupPolicy
import CISAL
import CZlib

/// The frame of one gzip member (RFC 1952) with its own size in an extra field; `contrib/docs/reference/format.md`
/// has the byte table.
///
/// Members are independent, so that several threads compress and decompress. The size lets a reader
/// find the next member, as in BGZF. Every gunzip can read the whole file.
enum GzipMember {
  /// Bytes of the image in every member but the last.
  static let chunkSize = 1 << 20
  static let headerSize = 20
  static let trailerSize = 8
  /// Deflate never expands a chunk beyond this size (stored blocks), and a well-formed member is
  /// never larger.
  static let maximumSize = maximumSize(of: chunkSize)

  static func maximumSize(of chunk: Int) -> Int { chunk + chunk / 8 + 1024 }

  static func writeHeader(memberSize: Int, to output: UnsafeMutableRawBufferPointer) {
    output.copyBytes(from: [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, 0x48, 0x46, 4, 0])
    output.storeBytes(of: UInt32(memberSize).littleEndian, toByteOffset: 16, as: UInt32.self)
  }

  /// The size of the member that begins with these bytes, or nil if they are not a header of ours.
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

/// Inflates our members; used by one thread at a time.
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
  /// - Throws: `archiveCorrupt` if the frame, the deflate data, the CRC or the size is wrong, or if
  ///   `output` is too small.
  func decode(_ member: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws -> Int {
    guard GzipMember.size(member) == member.count else {
      throw Self.damaged("the header of a gzip member is not valid")
    }
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

/// The compression level: 1 to 3 by ISA-L (fast), 4 to 9 by zlib (small).
///
/// ```swift
/// var options = BackupServiceOptions()
/// options.compressionLevel = CompressionLevel(9) ?? .standard
/// ```
public struct CompressionLevel: Hashable, Sendable {
  /// 1…9.
  public let value: Int
  /// Produces smaller output than `gzip -1` in a twelfth of its time; `contrib/bench` measures it.
  public static let standard = CompressionLevel(2)!

  /// Nil outside 1…9.
  public init?(_ value: Int) {
    guard (1...9).contains(value) else { return nil }
    self.value = value
  }

  var usesISAL: Bool { value <= 3 }
}

/// Deflates chunks into members; used by one thread at a time.
final class GzipMemberEncoder {
  private let level: CompressionLevel
  // C state of the one library that the level needs, owned from init to deinit.
  private var isal: UnsafeMutablePointer<isal_zstream>?
  private var work: UnsafeMutablePointer<UInt8>?
  private var workSize: UInt32 = 0
  private var zlib: UnsafeMutablePointer<z_stream>?

  /// - Parameter largest: bytes of the largest chunk.
  init(level: CompressionLevel, largest: Int = GzipMember.chunkSize) throws {
    self.level = level
    if level.usesISAL {
      workSize = cisal_level_buffer_size(Int32(level.value), UInt32(clamping: largest))
      isal = .allocate(capacity: 1)
      work = .allocate(capacity: Int(workSize))
    } else {
      let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
      stream.initialize(to: z_stream())
      zlib = stream
      guard czlib_deflate_init2(stream, Int32(level.value), -15) == Z_OK else {
        throw HoldfastError(.failed, "zlib failed to start: out of memory")
      }
    }
  }

  deinit {
    isal?.deallocate()
    work?.deallocate()
    if let zlib {
      deflateEnd(zlib)
      zlib.deallocate()
    }
  }

  /// Encodes a chunk as one member. `output` needs ``GzipMember/maximumSize(of:)`` bytes. Returns
  /// the member's size.
  func encode(_ chunk: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws -> Int {
    let room = UnsafeMutableRawBufferPointer(rebasing: output[GzipMember.headerSize...])
    let deflated = try level.usesISAL ? deflateFast(chunk, into: room) : deflateSmall(chunk, into: room)
    let size = GzipMember.headerSize + deflated + GzipMember.trailerSize
    guard size <= output.count else { throw HoldfastError(.failed, "a gzip member outgrew its buffer") }
    GzipMember.writeHeader(memberSize: size, to: output)
    output.storeBytes(of: GzipMember.crc(chunk).littleEndian, toByteOffset: size - 8, as: UInt32.self)
    output.storeBytes(of: UInt32(chunk.count).littleEndian, toByteOffset: size - 4, as: UInt32.self)
    return size
  }

  private func deflateFast(_ chunk: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer) throws -> Int {
    var written: UInt32 = 0
    let result = cisal_deflate(
      isal, Int32(level.value), work, workSize, chunk.baseAddress?.assumingMemoryBound(to: UInt8.self),
      UInt32(chunk.count), room.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt32(room.count), &written)
    guard result == COMP_OK else { throw HoldfastError(.failed, "ISA-L failed to compress (\(result))") }
    return Int(written)
  }

  private func deflateSmall(_ chunk: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer) throws -> Int {
    guard let zlib, deflateReset(zlib) == Z_OK else { throw HoldfastError(.failed, "zlib failed to start again") }
    // zlib's input pointer is not const in C, but zlib only reads through it.
    zlib.pointee.next_in = UnsafeMutablePointer(mutating: chunk.baseAddress?.assumingMemoryBound(to: UInt8.self))
    zlib.pointee.avail_in = UInt32(chunk.count)
    zlib.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
    zlib.pointee.avail_out = UInt32(room.count)
    guard deflate(zlib, Z_FINISH) == Z_STREAM_END else { throw HoldfastError(.failed, "zlib failed to compress") }
    return room.count - Int(zlib.pointee.avail_out)
  }
}

/// Inflates any gzip stream, of one member or several, piece by piece: the output of other
/// programs.
final class GzipStreamDecoder {
  // zlib keeps the address of its stream, so the stream has its own allocation from init to deinit.
  private let stream: UnsafeMutablePointer<z_stream>
  private var ended = false
  private var started = false

  init() throws {
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // 15 window bits, and 16 for the gzip wrapper.
    guard czlib_inflate_init2(stream, 31) == Z_OK else {
      throw HoldfastError(.failed, "zlib failed to start: out of memory")
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  /// Inflates all of `input`, and passes on pieces through `buffer`.
  ///
  /// - Throws: `archiveCorrupt` if the stream is damaged or other data follows its end.
  func decode(
    _ input: UnsafeRawBufferPointer, buffer: UnsafeMutableRawBufferPointer,
    _ consume: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
    stream.pointee.avail_in = UInt32(input.count)
    var outputWasFull = false
    while stream.pointee.avail_in > 0 || outputWasFull {
      if ended {
        guard inflateReset(stream) == Z_OK else { throw Self.damaged }
        ended = false
      }
      started = true
      stream.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
      stream.pointee.avail_out = UInt32(buffer.count)
      let result = inflate(stream, Z_NO_FLUSH)
      guard result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR else { throw Self.damaged }
      let made = buffer.count - Int(stream.pointee.avail_out)
      if made > 0 { try consume(UnsafeRawBufferPointer(rebasing: buffer[..<made])) }
      ended = result == Z_STREAM_END
      outputWasFull = stream.pointee.avail_out == 0 && !ended
      if result == Z_BUF_ERROR && made == 0 { break }
    }
  }

  /// - Throws: `archiveCorrupt` if the stream stopped before its end.
  func finish() throws {
    guard started, ended else {
      throw HoldfastError(.archiveCorrupt, "the gzip stream is cut short", cause: ArchiveStage.decompression)
    }
  }

  private static var damaged: HoldfastError {
    HoldfastError(.archiveCorrupt, "the gzip stream is damaged", cause: ArchiveStage.decompression)
  }
}
