import BackupPolicy
import COpenSSL

/// Key material. Wiped when the last owner lets go; never printed, never encoded.
///
/// `@unchecked Sendable`: the memory is this object's own and does not change between init and deinit.
package final class SecretBytes: @unchecked Sendable, CustomStringConvertible {
  // Not an array: an array may share its storage with another one, which wiping would then destroy.
  private let storage: UnsafeMutableRawBufferPointer

  package init(_ bytes: [UInt8]) {
    storage = .allocate(byteCount: bytes.count, alignment: 16)
    storage.copyBytes(from: bytes)
  }

  deinit {
    OPENSSL_cleanse(storage.baseAddress, storage.count)
    storage.deallocate()
  }

  /// `count` fresh random bytes from the operating system's generator, through OpenSSL.
  package static func random(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    guard RAND_bytes(&bytes, Int32(count)) == 1 else { throw cryptoFailure("random bytes") }
    return bytes
  }

  package var count: Int { storage.count }
  package var description: String { "<secret>" }

  /// Compares in a time that says nothing of the content.
  func matches(_ other: SecretBytes) -> Bool {
    guard count == other.count else { return false }
    return zip(storage, other.storage).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
  }

  package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try body(UnsafeRawBufferPointer(storage))
  }
}

/// OpenSSL refused something that it never refuses with valid arguments: out of memory, or a broken installation.
func cryptoFailure(_ what: String) -> HoldfastError {
  ERR_clear_error()
  return HoldfastError(.failed, "OpenSSL failed: \(what)")
}
