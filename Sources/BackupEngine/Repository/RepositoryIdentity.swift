import BackupPolicy
import Glibc

/// The values that all authenticated archives of a repository share. Kept in
/// `.state/repository.json`, and always rebuildable from the newest archive's header.
struct RepositoryIdentity: Hashable, Sendable {
  /// 16 random bytes.
  var id: [UInt8]
  /// 16 random bytes: one salt for the repository, so that a process derives the password's key
  /// once.
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

  /// Uses an archive's head. If the repository had only key files so far, it gets a fresh salt.
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

/// Decides which archives count as this repository's own: by this host's state or, if the host has
/// none, by the content of the folder.
///
/// A folder with authenticated archives is sealed for every host. On a host that never saw it (a
/// new machine, root beside a service), anybody who can write the folder may have added a plain or
/// CBC archive.
struct RepositoryTrust {
  let state: HostState?
  /// Whether the folder holds an authenticated archive.
  let holdsAuthenticated: Bool

  /// Whether plain and CBC archives count only if this host knows their checksums.
  var isSealed: Bool { state?.sealed == true || holdsAuthenticated }

  func accepts(_ id: PointID, checksum: String) -> Bool {
    !isSealed || state?.accepts(id, checksum: checksum) == true
  }

  /// The checksum that this host accepted for a backup.
  func acceptedChecksum(of id: PointID) -> String? { isSealed ? state?.acceptedChecksum(of: id) : nil }

  /// Whether this host knows a repository here, and an authenticated archive is of another one.
  func isForeign(_ repositoryID: String) -> Bool {
    guard let state, state.sealed, !state.repositoryIDs.isEmpty else { return false }
    return !state.repositoryIDs.contains(repositoryID)
  }
}

extension Repository {
  func trust() throws -> RepositoryTrust {
    let state = try hostState()
    let isKnown = state?.sealed == true
    return RepositoryTrust(state: state, holdsAuthenticated: try isKnown || holdsAuthenticated())
  }

  /// Whether any archive has the head of an authenticated one. Proving it needs a key, and a caller
  /// without one must not be less safe.
  private func holdsAuthenticated() throws -> Bool {
    for name in try files.list(folder) where ArchiveName(name)?.encrypted == true {
      do {
        let file = try files.open(path(name), .readNoFollow)
        defer { files.close(file) }
        if try SealedHeader(file, files) != nil { return true }
      } catch let error as HoldfastError {
        // An archive that cannot be read now may be authenticated. A link, a damaged head or a
        // removed file is not.
        if let code = error.systemErrno, ![ENOENT, ELOOP].contains(code) { return true }
      }
    }
    return false
  }
}
