import CXXHash

/// XXH3-128 of one page under the secret for its number; the parts of a ``PageDigest``.
struct PageHash: Hashable, Sendable {
  /// Bytes of the canonical form.
  static let size = 16
  /// What stands for the lock page, which is never hashed.
  static let none = PageHash(high: 0, low: 0)

  var high: UInt64
  var low: UInt64

  init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// From the canonical (big-endian) form; nil where there are not 16 bytes.
  init?(_ bytes: some Collection<UInt8>) {
    var reader = ByteReader(bytes)
    guard bytes.count == Self.size, let high = reader.integer(UInt64.self), let low = reader.integer(UInt64.self) else {
      return nil
    }
    self.init(high: high, low: low)
  }

  /// From its place in a table of canonical forms.
  init(_ table: UnsafeRawBufferPointer, at index: Int) {
    high = table.loadUnaligned(fromByteOffset: index * Self.size, as: UInt64.self).bigEndian
    low = table.loadUnaligned(fromByteOffset: index * Self.size + 8, as: UInt64.self).bigEndian
  }

  /// Page size and count, which are mixed into a digest.
  init(shape pageSize: Int, _ pageCount: UInt32) {
    var shape = ByteWriter()
    shape.integer(UInt32(pageSize))
    shape.integer(pageCount)
    let hash = shape.bytes.withUnsafeBytes { XXH3_128bits($0.baseAddress, $0.count) }
    self.init(high: hash.high64, low: hash.low64)
  }

  var bytes: [UInt8] {
    var writer = ByteWriter()
    writer.integer(high)
    writer.integer(low)
    return writer.bytes
  }

  func store(in table: UnsafeMutableRawBufferPointer, at index: Int) {
    table.storeBytes(of: high.bigEndian, toByteOffset: index * Self.size, as: UInt64.self)
    table.storeBytes(of: low.bigEndian, toByteOffset: index * Self.size + 8, as: UInt64.self)
  }

  /// Hashes pages that lie one after another in memory, all but the lock page.
  ///
  /// - Parameters:
  ///   - first: number of the first page, from 1.
  ///   - lockPage: number of the page that is never hashed.
  ///   - body: gets each page's place in `pages` and its hash.
  static func each(
    of pages: UnsafeRawBufferPointer, first: UInt32, pageSize: Int, lockPage: UInt32, secret: PageDigest.Secret,
    _ body: (_ index: Int, PageHash) throws -> Void
  ) rethrows {
    try secret.bytes.withUnsafeBufferPointer { base in
      for index in 0..<(pages.count / pageSize) where first + UInt32(index) != lockPage {
        let page = pages.baseAddress! + index * pageSize
        let hash = cxxhash_page(page, pageSize, base.baseAddress, UInt64(first) + UInt64(index))
        try body(index, PageHash(high: hash.high64, low: hash.low64))
      }
    }
  }
}
