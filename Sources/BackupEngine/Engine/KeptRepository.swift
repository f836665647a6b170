import Synchronization

/// A repository that the first call opens and that the later calls use.
///
/// If another folder is at its path by then, because a disk was mounted or unmounted, it is opened
/// anew: only an opening checks whether it is the repository that this host knows.
package final class KeptRepository: Sendable {
  private let opened = Mutex<(repository: Repository, place: FileStatus.Place)?>(nil)

  func repository(_ open: () throws -> Repository) throws -> Repository {
    try opened.withLock { opened in
      if let opened, Self.place(of: opened.repository) == opened.place { return opened.repository }
      let repository = try open()
      opened = Self.place(of: repository).map { (repository, $0) }
      return repository
    }
  }

  /// Nil if the folder cannot be examined.
  private static func place(of repository: Repository) -> FileStatus.Place? {
    (try? repository.files.status(repository.folder))?.place
  }
}
