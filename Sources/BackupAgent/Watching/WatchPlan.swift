import BackupEngine
import BackupPolicy
import Glibc

/// Which folders to watch for one database, and what for.
///
/// The folder itself, of course; beyond it everything whose change makes the path lead elsewhere: each folder above (moved or
/// removed), each link on the way, and, while the folder is missing, the nearest folder above it that exists.
struct WatchPlan: Hashable, Sendable {
  /// How much of what happens to a database and its side files is to be told.
  enum Hearing: Hashable, Sendable {
    case all
    /// What comes, goes and moves, and no writes.
    case names
    /// What moves: with a rollback journal, and where the application opens the database for each statement, every commit
    /// makes and removes a file.
    case moves
  }

  struct Interest: Hashable, Sendable {
    /// The database and its side files lie here.
    var files = false
    /// Links on the way, or the next part of a path that is missing.
    var entries: Set<ExactName> = []

    /// What to ask the kernel for. Attributes, opening and closing are no changes: this program's own reading causes them.
    func mask(_ hearing: Hearing = .all) -> UInt32 {
      var mask = IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
      if files || !entries.isEmpty { mask |= IN_MOVED_TO | IN_MOVED_FROM }
      if files && hearing != .moves || !entries.isEmpty { mask |= IN_CREATE | IN_DELETE }
      if files && hearing == .all { mask |= IN_MODIFY }
      return UInt32(mask)
    }
  }

  let database: ExactName
  /// The database's own folder.
  let folder: ExactName
  private(set) var folders: [ExactName: Interest] = [:]
  private let wal: ExactName
  private let journal: ExactName

  /// Looks which folders there are.
  init(_ path: WatchedPath, _ files: any FileOperations) {
    database = ExactName(path.name)
    folder = ExactName(path.folder)
    wal = ExactName(path.name + "-wal")
    journal = ExactName(path.name + "-journal")
    for link in path.links {
      addAbove(link.folder.description)
      folders[link.folder, default: Interest()].entries.insert(link.name)
    }
    var folder = path.folder
    var missing: String?
    while folder != "/", (try? files.status(folder))?.kind != .folder {
      missing = folder.lastComponent
      folder = folder.parentPath
    }
    addAbove(folder)
    if let missing {
      folders[ExactName(folder), default: Interest()].entries.insert(ExactName(missing))
    } else {
      folders[ExactName(folder), default: Interest()].files = true
    }
  }

  /// What an entry of the database's folder is.
  func role(of name: UnsafeRawBufferPointer) -> ChangeEvent.Role? {
    if database == name { return .database }
    if wal == name { return .wal }
    return journal == name ? .journal : nil
  }

  /// The folder itself and those above it; the root does not move.
  private mutating func addAbove(_ path: String) {
    var folder = path
    while folder != "/" {
      if folders[ExactName(folder)] == nil { folders[ExactName(folder)] = Interest() }
      folder = folder.parentPath
    }
  }
}
