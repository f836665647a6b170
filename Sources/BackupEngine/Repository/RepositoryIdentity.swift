import BackupPolicy

/// What all authenticated archives of a repository share. Kept in `.state/repository.json`, always rebuildable from the newest
/// archive's header.
struct RepositoryIdentity: Hashable, Sendable {
  /// 16 random bytes.
  var id: [UInt8]
  /// 16 random bytes: one salt for the repository, so that the password is derived once per process.
  var salt: [UInt8]
  var iterations: UInt32

  static func fresh(iterations: UInt32) throws -> RepositoryIdentity {
    RepositoryIdentity(id: try SecretBytes.random(16), salt: try SecretBytes.random(16), iterations: iterations)
  }

  init(id: [UInt8], salt: [UInt8], iterations: UInt32) {
    self.id = id
    self.salt = salt
    self.iterations = iterations
  }

  /// From an archive's head; a repository that knew only key files so far gets a fresh salt.
  init(_ head: SealedHeader, iterations: UInt32) throws {
    id = head.header.repositoryID
    salt = try SecretBytes.random(16)
    self.iterations = iterations
    for case .password(let count, let itsSalt, _, _) in head.slots where KeySlot.allowedIterations.contains(count) {
      salt = itsSalt
      self.iterations = max(count, iterations)
    }
  }

  var json: JSONValue {
    .object([
      "repository_id": .string(id.hex), "password_salt": .string(salt.hex),
      "password_iterations": .integer(Int64(iterations)),
    ])
  }

  init?(_ json: JSONValue) {
    guard case .object(let keys) = json, case .string(let idText) = keys["repository_id"],
      case .string(let saltText) = keys["password_salt"], case .integer(let count) = keys["password_iterations"],
      let id = [UInt8](hex: idText), id.count == 16, let salt = [UInt8](hex: saltText), salt.count == 16,
      let iterations = UInt32(exactly: count), KeySlot.allowedIterations.contains(iterations)
    else { return nil }
    self.init(id: id, salt: salt, iterations: iterations)
  }
}
