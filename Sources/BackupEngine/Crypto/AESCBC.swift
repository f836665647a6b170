import BackupPolicy
import COpenSSL

/// AES-256-CBC with PKCS#7 padding as a stream, the original Python service's cipher; used by one thread at a time.
///
/// It cannot tell tampering from truth: only the checksum in the metadata tells accidents.
final class AESCBC {
  static let blockSize = 16
  /// Fixed by the original service's format.
  static let iterations: UInt32 = 100_000

  private let context: OpaquePointer

  init(key: SecretBytes, vector: [UInt8], encrypts: Bool) throws {
    guard key.count == 32, vector.count == Self.blockSize, let context = EVP_CIPHER_CTX_new() else {
      throw cryptoFailure("AES-256-CBC context")
    }
    self.context = context
    let ok = key.withBytes {
      EVP_CipherInit_ex(
        context, EVP_aes_256_cbc(), nil, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), vector, encrypts ? 1 : 0)
    }
    guard ok == 1 else { throw cryptoFailure("AES-256-CBC key") }
  }

  deinit {
    EVP_CIPHER_CTX_free(context)
  }

  /// Processes some bytes; `output` needs room for a block more. Returns how many bytes came out.
  func update(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws -> Int {
    precondition(output.count >= input.count + Self.blockSize)
    guard !input.isEmpty else { return 0 }
    var count: Int32 = 0
    let ok = EVP_CipherUpdate(
      context, output.baseAddress?.assumingMemoryBound(to: UInt8.self), &count,
      input.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(input.count))
    guard ok == 1 else { throw cryptoFailure("AES-256-CBC") }
    return Int(count)
  }

  /// The last block. Returns nil where the padding is wrong on decryption: a wrong key, or damage.
  func finish(into output: UnsafeMutableRawBufferPointer) -> Int? {
    precondition(output.count >= Self.blockSize)
    var count: Int32 = 0
    guard EVP_CipherFinal_ex(context, output.baseAddress?.assumingMemoryBound(to: UInt8.self), &count) == 1 else {
      ERR_clear_error()
      return nil
    }
    return Int(count)
  }
}
