import BackupEngine
import BackupPolicy
import Glibc
import Names
import SQLitePages

/// The folders to watch for one database, or for the patterns that name databases, and the purpose
/// of each watch.
///
/// Besides the database's folder, these are all places whose change makes the path lead elsewhere:
/// each folder above (moved or removed), each link on the way, and, if the folder is missing, the
/// nearest existing folder above it.
struct WatchPlan: Hashable, Sendable {
  /// The events of a database and its side files that are reported.
  enum Subscription: Hashable, Sendable {
    case all
    /// Creations, removals and moves, but no writes.
    case names
    /// Moves only: with a rollback journal, or if the application opens the database for each
    /// statement, every commit creates and removes a file.
    case moves
  }

  struct Interest: Hashable, Sendable {
    /// The folder contains the database and its side files.
    var files = false
    /// Links on the way, or the next part of a path that is missing.
    var entries: Set<ExactName> = []
    /// Patterns of entries that may become databases, or folders of databases.
    var patterns: Set<ExactName> = []

    private var hasNames: Bool { !entries.isEmpty || !patterns.isEmpty }

    /// Whether the creation or removal of an entry may make a path lead elsewhere, or change the
    /// matches of a pattern.
    func concerns(_ name: UnsafeRawBufferPointer) -> Bool {
      if entries.contains(where: { $0 == name }) { return true }
      guard !patterns.isEmpty else { return false }
      let text = String(pathBytes: name)
      // Side files appear and disappear with the commits of an existing database.
      if WatchPlan.sideSuffixes.contains(where: text.hasSuffix) { return false }
      return patterns.contains { fnmatch($0.description.raw, text.raw, FNM_PERIOD) == 0 }
    }

    /// The inotify mask. Attribute changes, opens and closes are not included: this program's own
    /// reading causes them.
    func mask(_ subscription: Subscription = .all) -> UInt32 {
      var mask = IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
      if files || hasNames { mask |= IN_MOVED_TO | IN_MOVED_FROM }
      if files && subscription != .moves || hasNames { mask |= IN_CREATE | IN_DELETE }
      if files && subscription == .all { mask |= IN_MODIFY }
      return UInt32(mask)
    }
  }

  let database: ExactName
  /// The database's own folder.
  let folder: ExactName
  private(set) var folders: [ExactName: Interest] = [:]
  private let wal: ExactName
  private let journal: ExactName

  /// Finds the existing folders.
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

  fileprivate static let sideSuffixes = ["-wal", "-shm", "-journal"]

  /// Finds the existing folders in which a new match of a pattern may appear. A folder that already
  /// has the database needs no watch here: the database has its own watch.
  ///
  /// - Parameter patterns: absolute paths.
  init(patterns: [String], _ files: any FileOperations) {
    let nothing = ExactName("")
    (database, folder, wal, journal) = (nothing, nothing, nothing, nothing)
    for pattern in patterns {
      addMatches("", pattern.split(separator: "/").map(String.init)[...], isFixed: true, files)
    }
  }

  /// - Parameters:
  ///   - folder: an existing folder; empty for the root.
  ///   - rest: the part of the pattern below the folder.
  ///   - isFixed: no part of the pattern before `rest` has wildcards.
  private mutating func addMatches(
    _ folder: String, _ rest: ArraySlice<String>, isFixed: Bool, _ files: any FileOperations
  ) {
    guard let part = rest.first else { return }
    let name = ExactName(folder.isEmpty ? "/" : folder)
    let isLast = rest.count == 1
    if !part.contains(where: { "*?[".contains($0) }) {
      let status = try? files.status("\(folder)/\(part)")
      guard let status, isLast || status.kind == .folder else {
        folders[name, default: Interest()].entries.insert(ExactName(part))
        return
      }
      // If the folder is moved, the pattern leads elsewhere.
      if isFixed, !folder.isEmpty, folders[name] == nil { folders[name] = Interest() }
      return addMatches("\(folder)/\(part)", rest.dropFirst(), isFixed: isFixed, files)
    }
    folders[name, default: Interest()].patterns.insert(ExactName(part))
    guard !isLast else { return }
    for entry in (try? files.list(name.description)) ?? [] where fnmatch(part.raw, entry.raw, FNM_PERIOD) == 0 {
      let path = "\(folder)/\(entry)"
      if (try? files.status(path))?.kind == .folder { addMatches(path, rest.dropFirst(), isFixed: false, files) }
    }
  }

  /// The role of an entry of the database's folder.
  func role(of name: UnsafeRawBufferPointer) -> ChangeEvent.Role? {
    if database == name { return .database }
    if wal == name { return .wal }
    return journal == name ? .journal : nil
  }

  /// Adds the folder itself and those above it. The root cannot move.
  private mutating func addAbove(_ path: String) {
    var folder = path
    while folder != "/" {
      if folders[ExactName(folder)] == nil { folders[ExactName(folder)] = Interest() }
      folder = folder.parentPath
    }
  }
}

/// The location of a database, with symbolic links resolved as SQLite does it, even if the file
/// does not exist yet.
struct WatchedPath: Equatable, Sendable {
  /// A symbolic link on the way: an entry of a folder.
  struct Link: Hashable, Sendable {
    var folder: ExactName
    var name: ExactName
  }

  /// As the user wrote it.
  let given: String
  /// The absolute path; `-wal` and `-journal` are beside it.
  let resolved: String
  /// Every link on the way. If one of them changes, the path may lead elsewhere.
  let links: [Link]

  var folder: String { resolved.parentPath }
  var name: String { resolved.lastComponent }

  /// SQLite's own limit (`SQLITE_MAX_SYMLINK`).
  private static let maximumLinks = 200

  /// Compares bytes: a link to another spelling of a name leads to another file.
  static func == (left: WatchedPath, right: WatchedPath) -> Bool {
    left.given.isExactly(right.given) && left.resolved.isExactly(right.resolved) && left.links == right.links
  }

  init(_ path: String) {
    given = path
    if Self.isResolved(path) {
      (resolved, links) = (path, [])
      return
    }
    var rest = Self.components(path.hasPrefix("/") ? path : "\(String.workingFolder ?? "")/\(path)")
    var folder = ""
    var links: [Link] = []
    while let name = rest.popLast() {
      if name == ".." {
        folder = folder.parentPath == "/" || folder.isEmpty ? "" : folder.parentPath
      } else if links.count < Self.maximumLinks, let target = Self.link(at: "\(folder)/\(name)") {
        links.append(Link(folder: ExactName(folder.isEmpty ? "/" : folder), name: ExactName(name)))
        rest += Self.components(target)
        if target.hasPrefix("/") { folder = "" }
      } else {
        folder += "/\(name)"
      }
    }
    resolved = folder.isEmpty ? "/" : folder
    self.links = links
  }

  /// Whether the file exists at this very path and no link leads there. This is the usual case, and
  /// the check is cheap.
  private static func isResolved(_ path: String) -> Bool {
    let raw = path.raw
    guard let real = realpath(raw, nil) else { return false }
    defer { free(real) }
    return strcmp(real, raw) == 0
  }

  /// Last first.
  private static func components(_ path: String) -> [String] {
    path.split(separator: "/").filter { $0 != "." }.reversed().map(String.init)
  }

  private static func link(at path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path.raw, &buffer, buffer.count)
    guard count > 0 else { return nil }
    return buffer.prefix(count).withUnsafeBytes { String(pathBytes: $0) }
  }
}

/// A path, or a name in a folder, compared byte for byte. Swift's strings are equal if they look
/// equal (é has two spellings); file names are not.
struct ExactName: Hashable, Sendable, CustomStringConvertible {
  private let bytes: [UInt8]

  init(_ text: String) {
    bytes = text.pathBytes
  }

  var description: String { bytes.withUnsafeBytes { String(pathBytes: $0) } }

  static func == (name: ExactName, raw: UnsafeRawBufferPointer) -> Bool {
    name.bytes.count == raw.count && name.bytes.elementsEqual(raw)
  }
}
