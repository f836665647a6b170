import COpenSSL

/// A digest that is computed piece by piece; used by one thread at a time.
final class Digest {
  enum Algorithm { case sha256, md5 }

  private let context: OpaquePointer
  private let size: Int

  /// Returns nil if the library does not offer the algorithm: MD5 under FIPS rules.
  init?(_ algorithm: Algorithm) {
    guard let context = EVP_MD_CTX_new() else { return nil }
    guard EVP_DigestInit_ex(context, algorithm == .sha256 ? EVP_sha256() : EVP_md5(), nil) == 1 else {
      EVP_MD_CTX_free(context)
      ERR_clear_error()
      return nil
    }
    self.context = context
    size = algorithm == .sha256 ? 32 : 16
  }

  deinit { EVP_MD_CTX_free(context) }

  func update(_ bytes: UnsafeRawBufferPointer) {
    let done = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    precondition(done == 1, "a digest that has begun cannot fail")
  }

  /// The digest; the object cannot be used afterwards.
  func finish() -> [UInt8] {
    var value = [UInt8](repeating: 0, count: size)
    let done = EVP_DigestFinal_ex(context, &value, nil)
    precondition(done == 1, "a digest that has begun cannot fail")
    return value
  }

  static func sha256() -> Digest {
    guard let digest = Digest(.sha256) else { preconditionFailure("libcrypto has no SHA-256") }
    return digest
  }

  static func sha256(_ bytes: [UInt8]) -> [UInt8] {
    let digest = sha256()
    bytes.withUnsafeBytes { digest.update($0) }
    return digest.finish()
  }

  /// Nil if the library offers no MD5.
  static func md5(_ bytes: [UInt8]) -> [UInt8]? {
    guard let digest = Digest(.md5) else { return nil }
    bytes.withUnsafeBytes { digest.update($0) }
    return digest.finish()
  }

  /// HMAC-SHA256.
  static func hmac(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
    var value = [UInt8](repeating: 0, count: 32)
    var length: UInt32 = 0
    let done = HMAC(EVP_sha256(), key, Int32(key.count), message, message.count, &value, &length)
    precondition(done != nil && length == 32, "libcrypto has no HMAC-SHA256")
    return value
  }
}

extension [UInt8] {
  /// Two lower-case hexadecimal digits a byte.
  var hexText: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// With padding (RFC 4648, section 4).
  var base64Text: String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    for start in stride(from: 0, to: count, by: 3) {
      let group = self[start..<Swift.min(start + 3, count)]
      var bits: UInt32 = 0
      for byte in group { bits = bits << 8 | UInt32(byte) }
      bits <<= 8 * UInt32(3 - group.count)
      let letters = (0..<4).map { alphabet[Int(bits >> UInt32(18 - 6 * $0)) & 63] }
      text += letters.prefix(group.count + 1) + [UInt8](repeating: UInt8(ascii: "="), count: 3 - group.count)
    }
    return String(decoding: text, as: UTF8.self)
  }
}
