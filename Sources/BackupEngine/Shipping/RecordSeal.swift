import BackupPolicy

/// Proves that a record in a store was written by somebody with the key of the repository.
///
/// A mark is HMAC-SHA256 of the record under HKDF(secret, salt: repository ID, info). The secret is
/// the key of the key file, or the key that is derived from the password. A record has a mark for
/// each secret of its writer, so that a reader needs only one of them.
package final class RecordSeal {
  /// The marks of one record.
  package struct Marks: Hashable, Sendable {
    /// 32 bytes; nil if its writer had no key file.
    package var key: [UInt8]?
    /// 32 bytes; nil if its writer had no password.
    package var password: [UInt8]?
    /// 16 bytes: of the derivation from the password.
    package var salt: [UInt8]?
    package var iterations: UInt32?

    package init() {}
  }

  private let credentials: Credentials
  private let repositoryID: [UInt8]
  private let info: String
  /// Everybody can write a record with a salt of its own, and each salt costs a derivation.
  private var salts: Set<[UInt8]> = []
  private static let mostSalts = 4

  /// - Parameters:
  ///   - repositoryID: 32 hexadecimal digits.
  ///   - info: the kind of the records, ASCII.
  package init?(_ credentials: Credentials, repositoryID: String, info: String) {
    guard let id = [UInt8](hex: repositoryID), id.count == 16 else { return nil }
    (self.credentials, self.repositoryID, self.info) = (credentials, id, info)
  }

  /// Whether there is no secret, so that records have no marks.
  package var isOpen: Bool { credentials.isEmpty }

  /// - Parameters:
  ///   - salt: 16 bytes, of the repository.
  ///   - iterations: of PBKDF2.
  package func marks(of record: [UInt8], salt: [UInt8], iterations: UInt32) throws -> Marks {
    var marks = Marks()
    marks.key = try credentials.key.map { try mark(record, $0) }
    if let master = try credentials.master(salt: salt, iterations: iterations) {
      marks.password = try mark(record, master)
      (marks.salt, marks.iterations) = (salt, iterations)
    }
    return marks
  }

  /// Whether a mark is right. Without a secret, every record is taken as it is.
  package func holds(_ marks: Marks, for record: [UInt8]) throws -> Bool {
    if isOpen { return true }
    if let key = credentials.key, let found = marks.key { return KeyDerivation.equal(found, try mark(record, key)) }
    guard let found = marks.password, let salt = marks.salt, salt.count == 16, let iterations = marks.iterations,
      KeySlot.allowedIterations.contains(iterations), salts.contains(salt) || salts.count < Self.mostSalts
    else { return false }
    salts.insert(salt)
    guard let master = try credentials.master(salt: salt, iterations: iterations) else { return false }
    return KeyDerivation.equal(found, try mark(record, master))
  }

  private func mark(_ record: [UInt8], _ secret: SecretBytes) throws -> [UInt8] {
    try KeyDerivation.hmac(KeyDerivation.hkdf(secret, salt: repositoryID, info: info), record)
  }
}
