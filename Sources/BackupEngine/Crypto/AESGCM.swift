import BackupPolicy
import COpenSSL

/// AES-256-GCM under one key, message after message; used by one thread at a time.
final class AESGCM {
  static let tagSize = 16
  static let nonceSize = 12

  private let context: OpaquePointer
  private let encrypts: Bool

  /// - Parameters:
  ///   - key: 32 bytes.
  ///   - encrypts: false for a context that opens messages.
  init(key: SecretBytes, encrypts: Bool) throws {
    guard key.count == 32, let context = EVP_CIPHER_CTX_new() else { throw cryptoFailure("AES-256-GCM context") }
    self.context = context
    self.encrypts = encrypts
    // The key schedule is computed once; each message sets only its nonce.
    let ok = key.withBytes {
      EVP_CipherInit_ex(
        context, EVP_aes_256_gcm(), nil, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), nil, encrypts ? 1 : 0)
    }
    guard ok == 1 else { throw cryptoFailure("AES-256-GCM key") }
  }

  deinit {
    EVP_CIPHER_CTX_free(context)
  }

  /// Encrypts `plaintext` into `output`, which has room for 16 bytes more: ciphertext, then tag. A
  /// nonce is used once.
  func seal(
    _ plaintext: UnsafeRawBufferPointer, nonce: [UInt8], associated: [UInt8] = [],
    into output: UnsafeMutableRawBufferPointer
  ) throws {
    precondition(encrypts && nonce.count == Self.nonceSize && output.count == plaintext.count + Self.tagSize)
    try run(plaintext, nonce: nonce, associated: associated, into: output.baseAddress!)
    let tag = output.baseAddress! + plaintext.count
    guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, Int32(Self.tagSize), tag) == 1 else {
      throw cryptoFailure("AES-256-GCM tag")
    }
  }

  /// Decrypts ciphertext-then-tag into `output`. If the tag is wrong, zeroes `output` and returns
  /// false.
  func open(
    _ sealed: UnsafeRawBufferPointer, nonce: [UInt8], associated: [UInt8] = [],
    into output: UnsafeMutableRawBufferPointer
  ) throws -> Bool {
    precondition(!encrypts && nonce.count == Self.nonceSize && sealed.count == output.count + Self.tagSize)
    let ciphertext = UnsafeRawBufferPointer(rebasing: sealed[..<output.count])
    let tag = UnsafeMutableRawPointer(mutating: sealed.baseAddress! + output.count)
    try setNonce(nonce)
    guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, Int32(Self.tagSize), tag) == 1 else {
      throw cryptoFailure("AES-256-GCM tag")
    }
    guard try process(ciphertext, associated: associated, into: output.baseAddress) else {
      ERR_clear_error()
      output.initializeMemory(as: UInt8.self, repeating: 0)
      return false
    }
    return true
  }

  private func run(
    _ input: UnsafeRawBufferPointer, nonce: [UInt8], associated: [UInt8], into output: UnsafeMutableRawPointer
  ) throws {
    try setNonce(nonce)
    guard try process(input, associated: associated, into: output) else { throw cryptoFailure("AES-256-GCM") }
  }

  private func setNonce(_ nonce: [UInt8]) throws {
    guard EVP_CipherInit_ex(context, nil, nil, nil, nonce, -1) == 1 else { throw cryptoFailure("AES-256-GCM nonce") }
  }

  private func process(
    _ input: UnsafeRawBufferPointer, associated: [UInt8], into output: UnsafeMutableRawPointer?
  ) throws -> Bool {
    var count: Int32 = 0
    if !associated.isEmpty {
      guard EVP_CipherUpdate(context, nil, &count, associated, Int32(associated.count)) == 1 else {
        throw cryptoFailure("AES-256-GCM associated data")
      }
    }
    let bytes = output?.assumingMemoryBound(to: UInt8.self)
    if !input.isEmpty {
      let source = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
      guard EVP_CipherUpdate(context, bytes, &count, source, Int32(input.count)) == 1 else { return false }
    }
    var last: Int32 = 0
    var spare: UInt8 = 0
    return EVP_CipherFinal_ex(
      context, bytes.map { $0 + Int(count) } ?? withUnsafeMutablePointer(to: &spare) { $0 }, &last) == 1
  }
}

/// AES-256-CBC with PKCS#7 padding as a stream, the original Python service's cipher; used by one
/// thread at a time.
///
/// It cannot detect tampering; the checksum in the metadata detects only accidental damage.
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

  /// Processes some bytes; `output` needs room for one block more. Returns the number of output
  /// bytes.
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

  /// Writes the last block. Returns nil if the padding is wrong on decryption: a wrong key, or
  /// damage.
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
