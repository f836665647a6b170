import Glibc

/// What a file-system event means for a database, if anything.
enum ChangeEvent: Hashable, Sendable {
  /// Perhaps a commit: SQLite wrote to the database or its WAL, ended a rollback journal, or another file has come.
  case changed
  /// The database was removed or moved away.
  case removed
  /// The kernel dropped events: anything may have happened.
  case overflow
  /// The folder was removed, moved or unmounted: nothing is seen any more.
  case folderLost
  /// The path may lead elsewhere: a link, or a folder above, is not what it was.
  case pathChanged
  /// Somebody closed the database or its WAL.
  case closed

  /// Which file an event is about.
  enum Role: Sendable {
    case database
    case wal
    case journal
  }

  /// A watched folder is gone from its path.
  static func isLoss(_ mask: UInt32) -> Bool {
    mask & UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED) != 0
  }

  /// Reads one event of the database's folder.
  ///
  /// An application's commit is a MODIFY of the database or the WAL, or the end of a rollback journal (DELETE, or MODIFY
  /// where it is truncated or zeroed). `-shm`, the coming and going of `-wal` and the coming of `-journal` say nothing:
  /// opening a database is enough for them.
  init?(_ mask: UInt32, of role: Role) {
    func has(_ bits: Int32) -> Bool { mask & UInt32(bits) != 0 }
    switch role {
    case .database where has(IN_MODIFY | IN_CREATE | IN_MOVED_TO): self = .changed
    case .database where has(IN_DELETE | IN_MOVED_FROM): self = .removed
    case .wal where has(IN_MODIFY): self = .changed
    case .journal where has(IN_MODIFY | IN_DELETE): self = .changed
    default: return nil
    }
  }
}
