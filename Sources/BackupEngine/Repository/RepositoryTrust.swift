import BackupPolicy
import Glibc

/// Which archives count as this repository's own: by what this host remembers and, on a host that remembers nothing, by what
/// the folder holds.
///
/// A folder with authenticated archives is sealed for every host. On one that never saw it (a new machine, root beside a
/// service) a plain or CBC archive there may have been put in by anybody who can write the folder.
struct RepositoryTrust {
  let state: HostState?
  /// The folder holds an authenticated archive.
  let holdsAuthenticated: Bool

  /// Whether plain and CBC archives count only if this host knows their checksums.
  var isSealed: Bool { state?.sealed == true || holdsAuthenticated }

  func accepts(_ id: PointID, checksum: String) -> Bool {
    !isSealed || state?.accepts(id, checksum: checksum) == true
  }

  /// The checksum that this host accepted for a backup.
  func acceptedChecksum(of id: PointID) -> String? { isSealed ? state?.acceptedChecksum(of: id) : nil }

  /// Whether an authenticated archive is of a repository that this host does not know, while it knows one here.
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

  /// Whether any archive has the head of an authenticated one. Its proof needs a key, and without one it must not be less safe.
  private func holdsAuthenticated() throws -> Bool {
    for name in try files.list(folder) where ArchiveName(name)?.encrypted == true {
      do {
        let file = try files.open(path(name), .readNoFollow)
        defer { files.close(file) }
        if try SealedHeader(file, files) != nil { return true }
      } catch let error as HoldfastError {
        // What cannot be read now may be the one; a link, a damaged head or a file that was removed is not.
        if let code = error.systemErrno, ![ENOENT, ELOOP].contains(code) { return true }
      }
    }
    return false
  }
}
