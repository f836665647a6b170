import Glibc

/// A file's durable content and the later writes.
struct UnsyncedContent {
  struct Write {
    var offset: Int
    var bytes: [UInt8]
    var end: Int { offset + bytes.count }
  }

  /// The unit that a disk writes whole or not at all.
  static let sector = 512

  var durable: [UInt8]
  var writes: [Write] = []

  var liveSize: Int { writes.reduce(durable.count) { max($0, $1.end) } }

  /// The content that a reader sees while power is on.
  var live: [UInt8] {
    rendered(writes.map { [0..<$0.bytes.count] }, size: liveSize)
  }

  /// The ranges of a write's bytes, each within one sector of the file.
  func sectors(of write: Write) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var start = 0
    while start < write.bytes.count {
      let end = min(write.bytes.count, start + Self.sector - (write.offset + start) % Self.sector)
      ranges.append(start..<end)
      start = end
    }
    return ranges
  }

  /// The durable content with some ranges of each write over it, and zeros in the gaps.
  ///
  /// - Parameter size: the file's size; larger if a surviving range ends later.
  func rendered(_ survivors: [[Range<Int>]], size: Int) -> [UInt8] {
    let ends = zip(writes, survivors).compactMap { write, ranges in ranges.last.map { write.offset + $0.upperBound } }
    let size = ends.reduce(max(size, durable.count), max)
    return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      let raw = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer).prefix(size))
      if let start = raw.baseAddress { memset(start, 0, size) }
      durable.withUnsafeBytes { raw.copyMemory(from: $0) }
      for (write, ranges) in zip(writes, survivors) {
        write.bytes.withUnsafeBytes { bytes in
          for range in ranges {
            UnsafeMutableRawBufferPointer(rebasing: raw[(write.offset + range.lowerBound)...])
              .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range]))
          }
        }
      }
      count = size
    }
  }
}
