import Glibc
import SQLitePages

/// Looks whether a commit is written and not published yet: SQLite's flush comes between the two, and the event that wakes
/// the agent before both.
enum CommitLook {
  /// Microseconds that a backup waits at most for such a commit. A flush seldom takes longer; where it does, the looks that
  /// follow an event find the commit.
  private static let patience: useconds_t = 50000

  /// A snapshot that waits a moment for a commit that is being flushed, so that the backup that was started for it does not
  /// miss it.
  ///
  /// - Parameter begin: begins one; the ones before it have ended.
  static func settled(_ begin: () throws -> DatabaseSnapshot) throws -> DatabaseSnapshot {
    var (waited, pause) = (useconds_t(0), useconds_t(200))
    while true {
      let snapshot = try begin()
      guard snapshot.position.hasUnpublishedCommit, waited < patience else { return snapshot }
      snapshot.end()
      usleep(pause)
      waited += pause
      pause *= 2
    }
  }
}
