import Synchronization

/// A repository that the first call opens and that the later calls use.
package final class KeptRepository: Sendable {
  private let opened = Mutex<Repository?>(nil)

  func repository(_ open: () throws -> Repository) throws -> Repository {
    try opened.withLock { opened in
      if let opened { return opened }
      let repository = try open()
      opened = repository
      return repository
    }
  }
}
