import BackupPolicy
import Synchronization

/// What opens a repository's archives: a password, a 256-bit key, or both.
///
/// Password derivations are remembered, so that a process pays for each (salt, iterations) once.
package final class Credentials: Sendable {
  package let password: SecretBytes?
  package let key: SecretBytes?
  private let derived = Mutex<[Derivation: SecretBytes]>([:])

  private struct Derivation: Hashable {
    var salt: [UInt8]
    var iterations: UInt32
  }

  package init(password: SecretBytes? = nil, key: SecretBytes? = nil) {
    self.password = password
    self.key = key
  }

  package var isEmpty: Bool { password == nil && key == nil }

  /// PBKDF2 of the password; nil without one.
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
        hint: "holdfast init makes a key file; --key-file names another one")
    }
    if bytes.count == 32 { return SecretBytes(bytes) }
    let text = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
    guard text.utf8.count == 64, let key = [UInt8](hex: text) else {
      throw HoldfastError(
        .keyMissing, "\(path) is not a key file: it holds neither 32 bytes nor 64 hexadecimal digits",
        hint: "holdfast init makes a key file")
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

  /// The error for an encrypted archive and nothing to open it with.
  static func missing(for what: String) -> HoldfastError {
    HoldfastError(
      .keyMissing, "\(what) needs a password or a key, and none is given",
      hint: "set BACKUP_ENCRYPTION_PASSWORD or BACKUP_ENCRYPTION_KEY_FILE, or use --key-file")
  }
}
