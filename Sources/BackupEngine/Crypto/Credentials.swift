import BackupPolicy
import COpenSSL
import Synchronization

/// The secrets that open a repository's archives: a password, a 256-bit key, or both.
///
/// Secrets are copied into memory that is wiped when the last owner releases it. Keys derived from
/// a password are cached, so that a process derives each (salt, iterations) only once.
///
/// ```swift
/// let credentials = try Credentials(keyFile: "/etc/holdfast/key")
/// let service = try BackupService(databaseURL: "/srv/app/app.db", credentials: credentials)
/// ```
public final class Credentials: Sendable {
  package let password: SecretBytes?
  package let key: SecretBytes?
  /// The source of the secrets, for messages; nil if it is not known.
  package let source: String?
  private let derived = Mutex<[Derivation: SecretBytes]>([:])

  private struct Derivation: Hashable {
    var salt: [UInt8]
    var iterations: UInt32
  }

  package init(password: SecretBytes? = nil, key: SecretBytes? = nil, source: String? = nil) {
    self.password = password
    self.key = key
    self.source = source
  }

  /// - Parameters:
  ///   - password: its bytes; UTF-8 if it is text. The caller has to wipe the array itself.
  ///   - keyFile: an additional key file: either secret then opens the archives.
  /// - Throws: `keyMissing` if the password is empty, or if the file is missing or holds no key.
  public convenience init(password: [UInt8], keyFile: String? = nil) throws {
    guard !password.isEmpty else {
      throw HoldfastError(.keyMissing, "the password is empty", hint: "give a password, or remove the setting")
    }
    self.init(
      password: SecretBytes(password), key: try keyFile.map { try Credentials.readKey($0, SystemFileOperations()) })
  }

  /// - Parameters:
  ///   - keyFile: 32 bytes, or 64 hexadecimal digits with white space around them, as `holdfast
  ///     init` writes them.
  ///   - passwordFile: an additional file whose first line is a password: either secret then opens
  ///     the archives.
  /// - Throws: `keyMissing` if a file is missing or holds no key or password.
  public convenience init(keyFile: String, passwordFile: String? = nil) throws {
    let files = SystemFileOperations()
    self.init(
      password: try passwordFile.map { try Credentials.readPassword($0, files) },
      key: try Credentials.readKey(keyFile, files))
  }

  /// - Parameter passwordFile: a file whose first line is the password, without the line's end.
  /// - Throws: `keyMissing` if it is missing or empty.
  public convenience init(passwordFile: String) throws {
    self.init(password: try Credentials.readPassword(passwordFile, SystemFileOperations()))
  }

  /// ` (tried: …)`, after the statement that the secrets do not open an archive.
  var tried: String { source.map { " (tried: \($0))" } ?? "" }

  package var isEmpty: Bool { password == nil && key == nil }

  /// Whether both have the same secrets. The time does not depend on the position of a difference.
  package func matches(_ other: Credentials) -> Bool {
    [(password, other.password), (key, other.key)].allSatisfy { mine, theirs in
      guard let mine, let theirs else { return mine == nil && theirs == nil }
      return mine.matches(theirs)
    }
  }

  /// PBKDF2 of the password; nil if there is no password.
  func master(salt: [UInt8], iterations: UInt32) throws -> SecretBytes? {
    guard let password else { return nil }
    let derivation = Derivation(salt: salt, iterations: iterations)
    if let known = derived.withLock({ $0[derivation] }) { return known }
    let secret = try KeyDerivation.pbkdf2(password, salt: salt, iterations: iterations)
    derived.withLock { $0[derivation] = secret }
    return secret
  }

  /// Reads a key file: 32 bytes as they are, or 64 hexadecimal digits with white space around them.
  package static func readKey(_ path: String, _ files: any FileOperations) throws -> SecretBytes {
    guard let bytes = try files.contents(path, limit: 4096) else {
      throw HoldfastError(
        .keyMissing, "cannot read the key file \(path): no such file",
        hint: "put the key file back if it was lost, create one with holdfast init, or name another one with "
          + "--key-file")
    }
    if bytes.count == 32 { return SecretBytes(bytes) }
    let text = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
    guard text.utf8.count == 64, let key = [UInt8](hex: text) else {
      throw HoldfastError(
        .keyMissing, "\(path) is not a key file: it contains neither 32 bytes nor 64 hexadecimal digits",
        hint: "create a key file with holdfast init")
    }
    return SecretBytes(key)
  }

  /// Reads a password file: its first line, without the line's end.
  package static func readPassword(_ path: String, _ files: any FileOperations) throws -> SecretBytes {
    guard let bytes = try files.contents(path, limit: 1 << 20) else {
      throw HoldfastError(.keyMissing, "cannot read the password file \(path): no such file")
    }
    var line = Array(bytes.prefix { $0 != UInt8(ascii: "\n") })
    if line.last == UInt8(ascii: "\r") { line.removeLast() }
    guard !line.isEmpty else { throw HoldfastError(.keyMissing, "the password file \(path) is empty") }
    return SecretBytes(line)
  }

  /// The error if an archive is encrypted and there is no secret to open it.
  static func missing(for what: String) -> HoldfastError {
    HoldfastError(
      .keyMissing, "\(what) needs a password or a key, but there is neither",
      hint: "set BACKUP_ENCRYPTION_PASSWORD or BACKUP_ENCRYPTION_KEY_FILE, or use --key-file")
  }
}

/// Key material. Wiped when the last owner releases it; never printed, never encoded.
///
/// `@unchecked Sendable`: the memory belongs to this object and does not change between init and
/// deinit.
package final class SecretBytes: @unchecked Sendable, CustomStringConvertible {
  // Not an array: an array may share its storage with another one, and wiping would then destroy
  // both.
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

  /// Compares in a time that does not depend on the content.
  func matches(_ other: SecretBytes) -> Bool {
    guard count == other.count else { return false }
    return zip(storage, other.storage).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
  }

  /// HMAC-SHA256 of a message with this key, 32 bytes.
  package func authenticationCode(of message: [UInt8]) throws -> [UInt8] { try KeyDerivation.hmac(self, message) }

  package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try body(UnsafeRawBufferPointer(storage))
  }
}

/// The error when OpenSSL fails with valid arguments: out of memory, or a broken installation.
func cryptoFailure(_ what: String) -> HoldfastError {
  ERR_clear_error()
  return HoldfastError(.failed, "OpenSSL failed: \(what)")
}
