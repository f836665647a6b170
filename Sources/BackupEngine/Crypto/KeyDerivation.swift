import BackupPolicy
import COpenSSL

/// Key derivation as `contrib/FORMAT.md` uses it.
enum KeyDerivation {
  /// HKDF-SHA256 (RFC 5869) of a secret.
  ///
  /// - Parameters:
  ///   - salt: extraction salt; empty means HashLen zeros, as the RFC says.
  ///   - info: context, ASCII.
  ///   - count: bytes of output.
  static func hkdf(_ secret: SecretBytes, salt: [UInt8] = [], info: String, count: Int = 32) throws -> SecretBytes {
    guard let context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nil) else { throw cryptoFailure("HKDF context") }
    defer { EVP_PKEY_CTX_free(context) }
    let label = Array(info.utf8)
    var output = [UInt8](repeating: 0, count: count)
    var written = count
    let ok = secret.withBytes { key in
      EVP_PKEY_derive_init(context) > 0
        && EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha256()) > 0
        && (salt.isEmpty || EVP_PKEY_CTX_set1_hkdf_salt(context, salt, Int32(salt.count)) > 0)
        && EVP_PKEY_CTX_set1_hkdf_key(
          context, key.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(key.count)) > 0
        && EVP_PKEY_CTX_add1_hkdf_info(context, label, Int32(label.count)) > 0
        && EVP_PKEY_derive(context, &output, &written) > 0
    }
    guard ok, written == count else { throw cryptoFailure("HKDF-SHA256") }
    defer { OPENSSL_cleanse(&output, output.count) }
    return SecretBytes(output)
  }

  /// PBKDF2-HMAC-SHA256 (RFC 8018), 32 bytes of output.
  static func pbkdf2(_ password: SecretBytes, salt: [UInt8], iterations: UInt32) throws -> SecretBytes {
    var output = [UInt8](repeating: 0, count: 32)
    let ok = password.withBytes { bytes in
      PKCS5_PBKDF2_HMAC(
        bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count), salt, Int32(salt.count),
        Int32(iterations), EVP_sha256(), 32, &output)
    }
    guard ok == 1 else { throw cryptoFailure("PBKDF2-HMAC-SHA256") }
    defer { OPENSSL_cleanse(&output, output.count) }
    return SecretBytes(output)
  }

  /// HMAC-SHA256 of a message, 32 bytes.
  static func hmac(_ key: SecretBytes, _ message: [UInt8]) throws -> [UInt8] {
    var output = [UInt8](repeating: 0, count: 32)
    var count: UInt32 = 32
    let result = key.withBytes {
      HMAC(EVP_sha256(), $0.baseAddress, Int32($0.count), message, message.count, &output, &count)
    }
    guard result != nil, count == 32 else { throw cryptoFailure("HMAC-SHA256") }
    return output
  }

  /// Whether two byte strings are equal, in time that does not depend on where they differ.
  static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
  }
}
