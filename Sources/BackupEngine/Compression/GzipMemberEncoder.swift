import BackupPolicy
import CISAL
import CZlib

/// How hard to compress: 1 to 3 by ISA-L (fast), 4 to 9 by zlib (small).
public struct CompressionLevel: Hashable, Sendable {
  /// 1…9.
  public let value: Int
  /// Smaller than `gzip -1` in a twelfth of its time; `contrib/bench` measures it.
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

  /// Makes one member of a chunk. `output` needs ``GzipMember/maximumSize(of:)`` bytes. Returns the member's size.
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
    // zlib's input pointer is not const in C, but it only reads.
    zlib.pointee.next_in = UnsafeMutablePointer(mutating: chunk.baseAddress?.assumingMemoryBound(to: UInt8.self))
    zlib.pointee.avail_in = UInt32(chunk.count)
    zlib.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
    zlib.pointee.avail_out = UInt32(room.count)
    guard deflate(zlib, Z_FINISH) == Z_STREAM_END else { throw HoldfastError(.failed, "zlib failed to compress") }
    return room.count - Int(zlib.pointee.avail_out)
  }
}
