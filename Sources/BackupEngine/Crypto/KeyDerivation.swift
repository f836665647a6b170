import BackupPolicy
import COpenSSL
import Glibc

/// Key derivation as `contrib/docs/reference/format.md` uses it.
enum KeyDerivation {
  /// HKDF-SHA256 (RFC 5869) of a secret.
  ///
  /// - Parameters:
  ///   - salt: extraction salt; empty means HashLen zeros, as in the RFC.
  ///   - info: context, ASCII.
  ///   - count: bytes of output.
  static func hkdf(_ secret: SecretBytes, salt: [UInt8] = [], info: String, count: Int = 32) throws -> SecretBytes {
    guard let algorithm, let context = EVP_KDF_CTX_new(algorithm) else { throw cryptoFailure("HKDF context") }
    defer { EVP_KDF_CTX_free(context) }
    var output = [UInt8](repeating: 0, count: count)
    let ok = secret.withBytes { key in
      withParameters(key: key, salt: salt, info: Array(info.utf8)) { EVP_KDF_derive(context, &output, count, $0) > 0 }
    }
    guard ok else { throw cryptoFailure("HKDF-SHA256") }
    defer { OPENSSL_cleanse(&output, output.count) }
    return SecretBytes(output)
  }

  /// Fetched once, because that costs several times as much as a derivation.
  ///
  /// `nonisolated(unsafe)`: OpenSSL's algorithm never changes, and any thread may create contexts
  /// of it.
  private nonisolated(unsafe) static let algorithm = EVP_KDF_fetch(nil, "HKDF", nil)

  /// The names of parameters. OpenSSL keeps a pointer to each, but a Swift string as an argument is
  /// a C string for that call only. These copies are never freed.
  ///
  /// `nonisolated(unsafe)`: no thread writes to them.
  private nonisolated(unsafe) static let names = (
    digest: strdup(OSSL_KDF_PARAM_DIGEST), key: strdup(OSSL_KDF_PARAM_KEY), info: strdup(OSSL_KDF_PARAM_INFO),
    salt: strdup(OSSL_KDF_PARAM_SALT)
  )

  /// The pointers are valid during the call of `body`. OpenSSL only reads through them, although
  /// its parameters are not const.
  private static func withParameters<Result>(
    key: UnsafeRawBufferPointer, salt: [UInt8], info: [UInt8], _ body: ([OSSL_PARAM]) -> Result
  ) -> Result {
    var (digest, salt, info) = (Array("SHA256".utf8CString), salt, info)
    return digest.withUnsafeMutableBufferPointer { digest in
      salt.withUnsafeMutableBytes { salt in
        info.withUnsafeMutableBytes { info in
          var parameters = [
            OSSL_PARAM_construct_utf8_string(names.digest, digest.baseAddress, 0),
            OSSL_PARAM_construct_octet_string(
              names.key, UnsafeMutableRawPointer(mutating: key.baseAddress), key.count),
            OSSL_PARAM_construct_octet_string(names.info, info.baseAddress, info.count),
          ]
          if !salt.isEmpty {
            parameters.append(OSSL_PARAM_construct_octet_string(names.salt, salt.baseAddress, salt.count))
          }
          return body(parameters + [OSSL_PARAM_construct_end()])
        }
      }
    }
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

  /// Whether two byte strings are equal. The time does not depend on the position of a difference.
  static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
  }
}
