import Glibc
import Names

/// The files that SQLite keeps beside a database in WAL mode.
enum SideFiles {
  /// Gives `-wal` and `-shm` that we created to the database's group.
  ///
  /// SQLite copies the database's mode to them, and its owner where it runs as root. A process that may write the
  /// database as a member of its group would leave files of its own primary group, which the application cannot write.
  static func shareWithOwner(of path: String) {
    let user = geteuid()
    var database = stat()
    guard user != 0, stat(path.raw, &database) == 0, database.st_uid != user else { return }
    for suffix in ["-wal", "-shm"] {
      var file = stat()
      guard lstat((path + suffix).raw, &file) == 0, file.st_uid == user, file.st_gid != database.st_gid else {
        continue
      }
      // What fails here leaves the file as SQLite made it.
      _ = lchown((path + suffix).raw, user, database.st_gid)
    }
  }
}
