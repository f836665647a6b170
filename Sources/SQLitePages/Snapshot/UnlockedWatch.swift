import Glibc

/// Tells whether a database that is read without locks has changed meanwhile.
///
/// This is for a cleanly closed WAL database that this process may only read: taking part in its locks would mean to
/// create a `-wal` that the application's user cannot write.
struct UnlockedWatch {
  private let path: String
  private let given: String
  private let facts: FileFacts

  init(_ location: DatabaseLocation) throws(DatabaseError) {
    path = location.resolved
    given = location.given
    for _ in 0..<Self.attempts {
      let now = FileClock.now()
      // A change that followed the first look within the tick would not show.
      if let facts = FileFacts(path: path), facts.isSettled(at: now) || facts.isOld(at: now) {
        self.facts = facts
        try requireUnchanged()
        return
      }
      usleep(20_000)
    }
    throw Self.failure(given)
  }

  /// - Throws: `.unstable` where the file was written or replaced, or somebody has begun a WAL beside it.
  func requireUnchanged() throws(DatabaseError) {
    guard FileFacts(path: path) == facts, FileFacts(path: path + "-wal").map({ $0.size == 0 }) ?? true else {
      throw Self.failure(given)
    }
  }

  /// Longer than a coarse tick, at 20 ms each.
  private static let attempts = 200

  private static func failure(_ path: String) -> DatabaseError {
    DatabaseError(
      .unstable, path: path,
      message: "cannot read \(path): it was written meanwhile, and no lock can be taken beside it")
  }
}
