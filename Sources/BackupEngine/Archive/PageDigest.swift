import CXXHash

/// The digest of a database: XOR of XXH3-128 over its pages, keyed for encrypted archives. `contrib/FORMAT.md` defines it.
///
/// It proves against accidents. Changing one page changes it by two XORs, so an incremental updates it in O(changes).
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

    /// `XXH3_kSecret` of xxhash.h (the xxHash specification, "default secret"), which the library does not export.
    private static let standardBytes: [UInt8] = [UInt8](
      hex: "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
        + "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
        + "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
        + "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
        + "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
        + "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")!
  }

  init() {}

  /// Adds pages that lie one after another in memory.
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

  /// Adds one page's hash, or takes it away: XOR is its own inverse.
  mutating func toggle(_ hash: PageHash) {
    high ^= hash.high
    low ^= hash.low
  }

  /// Joins what another thread added.
  mutating func combine(_ other: PageDigest) {
    high ^= other.high
    low ^= other.low
  }

  /// The 16 bytes that name a whole database.
  func finished(pageSize: Int, pageCount: UInt32) -> [UInt8] {
    var whole = self
    whole.toggle(PageHash(shape: pageSize, pageCount))
    return PageHash(high: whole.high, low: whole.low).bytes
  }

  /// The sum of the page hashes behind a finished digest; nil where that is not 16 bytes long.
  init?(finished: [UInt8], pageSize: Int, pageCount: UInt32) {
    guard let hash = PageHash(finished) else { return nil }
    toggle(hash)
    toggle(PageHash(shape: pageSize, pageCount))
  }
}
