import Glibc

/// What a file-system event means for the database, if anything.
enum ChangeEvent: Hashable, Sendable {
  /// Perhaps a commit: SQLite wrote to the database or its WAL, ended a rollback journal, or another file has come.
  case changed
  /// The database was removed or moved away.
  case removed
  /// The kernel dropped events: anything may have happened.
  case overflow
  /// The folder was removed, moved or unmounted: nothing is seen any more.
  case folderLost

  /// Everything that is asked of the kernel. Attributes, opening and closing are no changes: this program's own reading
  /// causes them.
  static let mask = UInt32(
    IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

  /// Reads one event.
  ///
  /// An application's commit is a MODIFY of the database or the WAL, or the end of a rollback journal (DELETE, or MODIFY
  /// where it is truncated or zeroed). `-shm`, the coming and going of `-wal` and the coming of `-journal` say nothing:
  /// opening a database is enough for them.
  ///
  /// - Parameters:
  ///   - mask: the kernel's bits.
  ///   - name: the entry of the folder.
  ///   - database: the database's own name in it.
  init?(mask: UInt32, name: String, database: String) {
    func has(_ bits: Int32) -> Bool { mask & UInt32(bits) != 0 }
    if has(IN_Q_OVERFLOW) {
      self = .overflow
    } else if has(IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED) {
      self = .folderLost
    } else if name == database, has(IN_MODIFY | IN_CREATE | IN_MOVED_TO) {
      self = .changed
    } else if name == database, has(IN_DELETE | IN_MOVED_FROM) {
      self = .removed
    } else if name == database + "-wal", has(IN_MODIFY) {
      self = .changed
    } else if name == database + "-journal", has(IN_MODIFY | IN_DELETE) {
      self = .changed
    } else {
      return nil
    }
  }
}
