import BackupPolicy
import COpenSSL

/// Key material. Wiped when the last owner lets go; never printed, never encoded.
package final class SecretBytes: Sendable, CustomStringConvertible {
  private let storage: [UInt8]

  package init(_ bytes: [UInt8]) {
    storage = bytes
  }

  deinit {
    // The array is uniquely ours by now; overwriting through a mutable copy would wipe the copy instead.
    storage.withUnsafeBytes { bytes in
      OPENSSL_cleanse(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
    }
  }

  /// `count` fresh random bytes from the operating system's generator, through OpenSSL.
  package static func random(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    guard RAND_bytes(&bytes, Int32(count)) == 1 else { throw cryptoFailure("random bytes") }
    return bytes
  }

  package var count: Int { storage.count }
  package var description: String { "<secret>" }

  package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try storage.withUnsafeBytes(body)
  }
}

/// OpenSSL refused something that it never refuses with valid arguments: out of memory, or a broken installation.
func cryptoFailure(_ what: String) -> HoldfastError {
  ERR_clear_error()
  return HoldfastError(.failed, "OpenSSL failed: \(what)")
}
