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
