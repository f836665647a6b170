import COpenSSL

/// A running SHA-256; used by one thread at a time.
package final class SHA256 {
  private let context: OpaquePointer

  package init() throws {
    guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
      throw cryptoFailure("SHA-256")
    }
    self.context = context
  }

  deinit {
    EVP_MD_CTX_free(context)
  }

  package func update(_ bytes: UnsafeRawBufferPointer) throws {
    guard EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1 else { throw cryptoFailure("SHA-256") }
  }

  /// The 32 bytes; no bytes may be added afterwards.
  package func finish() throws -> [UInt8] {
    var output = [UInt8](repeating: 0, count: 32)
    guard EVP_DigestFinal_ex(context, &output, nil) == 1 else { throw cryptoFailure("SHA-256") }
    return output
  }

  static func of(_ bytes: [UInt8]) throws -> [UInt8] {
    let hash = try SHA256()
    try bytes.withUnsafeBytes { try hash.update($0) }
    return try hash.finish()
  }
}

extension String {
  /// Names a file after any text: the first bytes of its SHA-256 in hexadecimal digits.
  package func fileNameHash(bytes: Int = 16) throws -> String { try SHA256.of(Array(utf8)).prefix(bytes).hex }
}

extension Sequence<UInt8> {
  /// Two lower-case hexadecimal digits for each byte.
  package var hex: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}

extension [UInt8] {
  /// Bytes from an even number of hexadecimal digits; nil if the text has any other form.
  package init?(hex text: some StringProtocol) {
    let digits = text.utf8.map { UInt8($0) }
    guard digits.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(digits.count / 2)
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let high = Self.nibble(digits[index]), let low = Self.nibble(digits[index + 1]) else { return nil }
      bytes.append(high << 4 | low)
    }
    self = bytes
  }

  private static func nibble(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 48...57: digit - 48
    case 97...102: digit - 87
    case 65...70: digit - 55
    default: nil
    }
  }
}
