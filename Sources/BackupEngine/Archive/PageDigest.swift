import CXXHash

/// The digest of a database: XOR of XXH3-128 over its pages, keyed for encrypted archives.
/// `contrib/docs/reference/format.md` defines it.
///
/// It detects accidental changes only. A change of one page changes the digest by two XORs, so an
/// incremental updates it in O(changes).
struct PageDigest: Hashable, Sendable {
  private(set) var high: UInt64 = 0
  private(set) var low: UInt64 = 0

  /// Base secret of the page hashes: XXH3's own, or one derived from a digest key.
  final class Secret: Sendable {
    let bytes: [UInt8]

    /// XXH3's default secret, for archives that are not authenticated anyway.
    static let standard = Secret(bytes: standardBytes)

    init(key: SecretBytes) throws {
      bytes = try KeyDerivation.hkdf(key, info: "holdfast page digest v1", count: 192).withBytes { Array($0) }
    }

    private init(bytes: [UInt8]) {
      self.bytes = bytes
    }

    /// `XXH3_kSecret` of xxhash.h (the xxHash specification, "default secret"), which the library
    /// does not export.
    private static let standardBytes: [UInt8] = [UInt8](
      hex: "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
        + "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
        + "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
        + "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
        + "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
        + "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")!
  }

  init() {}

  /// Adds pages that are consecutive in memory.
  ///
  /// - Parameters:
  ///   - first: number of the first page, from 1.
  ///   - lockPage: number of the page that is never hashed.
  mutating func add(
    _ pages: UnsafeRawBufferPointer, first: UInt32, pageSize: Int, lockPage: UInt32, secret: Secret
  ) {
    PageHash.each(of: pages, first: first, pageSize: pageSize, lockPage: lockPage, secret: secret) { _, hash in
      toggle(hash)
    }
  }

  /// Adds or removes one page's hash: XOR is its own inverse.
  mutating func toggle(_ hash: PageHash) {
    high ^= hash.high
    low ^= hash.low
  }

  /// Adds the sum of another thread.
  mutating func combine(_ other: PageDigest) {
    high ^= other.high
    low ^= other.low
  }

  /// The 16 bytes that identify a whole database.
  func finished(pageSize: Int, pageCount: UInt32) -> [UInt8] {
    var whole = self
    whole.toggle(PageHash(shape: pageSize, pageCount))
    return PageHash(high: whole.high, low: whole.low).bytes
  }

  /// The sum of the page hashes behind a finished digest; nil if the digest is not 16 bytes long.
  init?(finished: [UInt8], pageSize: Int, pageCount: UInt32) {
    guard let hash = PageHash(finished) else { return nil }
    toggle(hash)
    toggle(PageHash(shape: pageSize, pageCount))
  }
}

/// XXH3-128 of one page under the secret for its number; the parts of a ``PageDigest``.
struct PageHash: Hashable, Sendable {
  /// Bytes of the canonical form.
  static let size = 16
  /// The value for the lock page, which is never hashed.
  static let none = PageHash(high: 0, low: 0)

  var high: UInt64
  var low: UInt64

  init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Reads the canonical (big-endian) form; returns nil if there are not 16 bytes.
  init?(_ bytes: some Collection<UInt8>) {
    var reader = ByteReader(bytes)
    guard bytes.count == Self.size, let high = reader.integer(UInt64.self), let low = reader.integer(UInt64.self) else {
      return nil
    }
    self.init(high: high, low: low)
  }

  /// Reads one hash from a table of canonical forms.
  init(_ table: UnsafeRawBufferPointer, at index: Int) {
    high = table.loadUnaligned(fromByteOffset: index * Self.size, as: UInt64.self).bigEndian
    low = table.loadUnaligned(fromByteOffset: index * Self.size + 8, as: UInt64.self).bigEndian
  }

  /// The hash of page size and count, which is mixed into a digest.
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

  /// Hashes pages that are consecutive in memory, except the lock page.
  ///
  /// - Parameters:
  ///   - first: number of the first page, from 1.
  ///   - lockPage: number of the page that is never hashed.
  ///   - body: receives each page's index in `pages` and its hash.
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
