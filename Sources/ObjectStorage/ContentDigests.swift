import Glibc

/// The digests of a range of a content, for the headers of a request.
struct ContentDigests: Sendable {
  /// 32 bytes.
  var sha256: [UInt8]
  /// 16 bytes; nil if it is not asked for, or if the library does not offer it.
  var md5: [UInt8]?
}

extension ObjectContent {
  /// The digests of a range of the content.
  func digests(_ range: Range<Int64>, md5: Bool) throws(StoreError) -> ContentDigests {
    let sha256 = Digest.sha256()
    let md5 = md5 ? Digest(.md5) : nil
    try forEachPiece(range) { piece in
      sha256.update(piece)
      md5?.update(piece)
    }
    return ContentDigests(sha256: sha256.finish(), md5: md5?.finish())
  }

  /// The digests of several ranges. For ranges of the same length in a file, it reads all of them at
  /// the same time.
  func digests(_ ranges: [Range<Int64>], md5: Bool) throws(StoreError) -> [ContentDigests] {
    guard md5, Digest(.md5) != nil, (2...MD5Lanes.count).contains(ranges.count),
      case .file(let file, let start, _) = source,
      ranges.allSatisfy({ $0.count == ranges[0].count })
    else {
      var digests: [ContentDigests] = []
      for range in ranges { digests.append(try self.digests(range, md5: md5)) }
      return digests
    }
    var reader = LaneReader(file, ranges.map { start + $0.lowerBound })
    defer { reader.buffer.deallocate() }
    var rest = ranges[0].count
    while rest > 0 {
      try reader.read(min(rest, LaneReader.piece))
      rest -= min(rest, LaneReader.piece)
    }
    return reader.finish()
  }

  /// Calls `body` with the bytes of a range, in pieces of at most 256 KiB.
  func forEachPiece(
    _ range: Range<Int64>, _ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void
  ) throws(StoreError) {
    switch source {
    case .bytes(let bytes):
      // `withUnsafeBytes` rethrows untyped errors only, so the piece is borrowed by hand.
      let piece = Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: piece.count, alignment: 16)
      defer { buffer.deallocate() }
      buffer.copyBytes(from: piece)
      try body(UnsafeRawBufferPointer(buffer))
    case .file(let descriptor, let offset, _):
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
      defer { buffer.deallocate() }
      var position = offset + range.lowerBound
      let end = offset + range.upperBound
      while position < end {
        let piece = UnsafeMutableRawBufferPointer(
          rebasing: buffer.prefix(Int(min(Int64(buffer.count), end - position))))
        try Self.fill(piece, from: descriptor, at: position)
        try body(UnsafeRawBufferPointer(piece))
        position += Int64(piece.count)
      }
    }
  }

  fileprivate static func fill(
    _ buffer: UnsafeMutableRawBufferPointer, from descriptor: Int32, at position: Int64
  ) throws(StoreError) {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = pread(descriptor, rest.baseAddress, rest.count, off_t(position + Int64(done)))
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw StoreError(errno: errno, "cannot read the file to store") }
      guard count > 0 else { throw StoreError(.changed, "the file to store ended at byte \(position + Int64(done))") }
      done += count
    }
  }
}

/// Reads up to four ranges of a file side by side.
private struct LaneReader {
  static let piece = 64 << 10

  /// ``piece`` bytes for each range.
  let buffer: UnsafeMutableRawBufferPointer
  private let descriptor: Int32
  private var positions: [Int64]
  private let sha256: [Digest]
  private var md5 = MD5Lanes()
  /// Of the last pieces: less than a block each.
  private var tails: [[UInt8]]

  init(_ descriptor: Int32, _ positions: [Int64]) {
    (self.descriptor, self.positions) = (descriptor, positions)
    buffer = .allocate(byteCount: positions.count * Self.piece, alignment: 4096)
    sha256 = positions.map { _ in Digest.sha256() }
    tails = positions.map { _ in [] }
  }

  private func lane(_ index: Int) -> UnsafeMutableRawBufferPointer {
    let start = index * Self.piece
    return UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + Self.piece])
  }

  /// - Parameter count: ``piece``; less for the last pieces.
  mutating func read(_ count: Int) throws(StoreError) {
    let blocks = count - count % MD5Lanes.blockSize
    for index in positions.indices {
      let bytes = UnsafeMutableRawBufferPointer(rebasing: lane(index).prefix(count))
      try ObjectContent.fill(bytes, from: descriptor, at: positions[index])
      positions[index] += Int64(count)
      sha256[index].update(UnsafeRawBufferPointer(bytes))
      tails[index] = Array(bytes[blocks...])
    }
    let pieces = inAllLanes(positions.indices.map { UnsafeRawPointer(lane($0).baseAddress!) })
    md5.update(pieces, bytes: blocks)
  }

  func finish() -> [ContentDigests] {
    zip(sha256, md5.finish(inAllLanes(tails))).map { ContentDigests(sha256: $0.finish(), md5: $1) }
  }

  /// Lanes without a range repeat the first one.
  private func inAllLanes<Value>(_ values: [Value]) -> [Value] {
    values + [Value](repeating: values[0], count: MD5Lanes.count - values.count)
  }
}
