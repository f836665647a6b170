import BackupPolicy
import CZlib

/// Inflates any gzip stream, of one member or several, piece by piece: what other programs wrote.
final class GzipStreamDecoder {
  // zlib keeps the address of its stream, so it lives in memory of its own from init to deinit.
  private let stream: UnsafeMutablePointer<z_stream>
  private var ended = false
  private var started = false

  init() throws {
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // 15 window bits and 16 for the gzip wrapper.
    guard czlib_inflate_init2(stream, 31) == Z_OK else {
      throw HoldfastError(.failed, "zlib failed to start: out of memory")
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  /// Inflates all of `input`, handing out pieces through `buffer`.
  ///
  /// - Throws: `archiveCorrupt` where the stream is damaged or something else follows its end.
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

  /// - Throws: `archiveCorrupt` where the stream stopped before its end.
  func finish() throws {
    guard started, ended else {
      throw HoldfastError(.archiveCorrupt, "the gzip stream is cut short", cause: ArchiveStage.decompression)
    }
  }

  private static var damaged: HoldfastError {
    HoldfastError(.archiveCorrupt, "the gzip stream is damaged", cause: ArchiveStage.decompression)
  }
}
