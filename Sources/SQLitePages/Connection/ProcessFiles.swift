import CSQLite
import Glibc

/// The open files of all other processes that `/proc` shows to this one.
///
/// Reads descriptors only, not mappings: SQLite keeps the descriptor of each file that it maps.
enum ProcessFiles {
  /// One open file of one process.
  struct Entry {
    var process: Int32
    var identity: FileIdentity
    /// The folder of the process's descriptors, and the name of this one there. The name belongs to
    /// the listing and changes with its next entry: that is why an entry must not be kept.
    fileprivate var folder: Int32
    fileprivate var name: UnsafePointer<CChar>

    /// The bytes of the path under which it was opened, with ` (deleted)` if that path no longer
    /// leads to it.
    func path() -> [UInt8] {
      var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
      let count = buffer.withUnsafeMutableBytes { bytes in
        bytes.withMemoryRebound(to: CChar.self) { readlinkat(folder, name, $0.baseAddress!, $0.count) }
      }
      return Array(buffer.prefix(max(0, count)))
    }

    /// Whether it was opened for writing, which the mode of the link shows.
    func isWritable() -> Bool {
      var link = stat()
      return fstatat(folder, name, &link, AT_SYMLINK_NOFOLLOW) == 0 && link.st_mode & S_IWUSR != 0
    }
  }

  /// Calls `body` for each open file.
  ///
  /// - Parameter only: these processes; nil for all.
  /// - Returns: why open files of other processes may have been missed; nil if the list is
  ///   complete.
  static func visit(only processes: Set<Int32>? = nil, _ body: (Entry) -> Void) -> String? {
    guard let folder = opendir("/proc") else { return "/proc cannot be read" }
    defer { closedir(folder) }
    let own = getpid()
    var (doubt, sawFirst): (String?, Bool) = (nil, false)
    while let entry = readdir(folder) {
      guard let id = Int32(name(of: entry)) else { continue }
      if id == 1 { sawFirst = true }
      guard id != own, processes?.contains(id) ?? true else { continue }
      // The first process of the machine does not open databases, and some systems hide its files
      // even from root.
      if !visit(id, body), id != 1 || !isWholeMachine {
        doubt = doubt ?? "the open files of process \(id) may not be seen"
      }
    }
    return sawFirst ? doubt : "other users' processes are hidden"
  }

  /// Whether this process sees the machine's processes, and not only those of its container.
  ///
  /// By PROC_PID_INIT_INO, the first namespace's number on every kernel.
  static let isWholeMachine = ProcFile.processNamespace == "pid:[4026531836]"

  static func name(ofProcess id: Int32) -> String { ProcFile.line("/proc/\(id)/comm") ?? "" }

  /// Whether a process is a child of this one that still runs the same program: between `fork` and `exec`.
  static func isUnstartedChild(_ id: Int32) -> Bool {
    // pid (comm) state ppid …; the name may hold anything, even a parenthesis.
    let status = ProcFile.text("/proc/\(id)/stat") ?? ""
    guard let end = status.lastIndex(of: ")") else { return false }
    let fields = status[end...].split(separator: " ")
    guard fields.count > 2, Int32(fields[2]) == getpid() else { return false }
    func program(_ id: String) -> FileIdentity? { FileFacts(path: "/proc/\(id)/exe")?.identity }
    return program("\(id)") == program("self")
  }

  /// The open files of one process; `body` must not keep them.
  ///
  /// A thread may have a table of its own, and the first thread may have ended while others
  /// continue: its table is then empty.
  ///
  /// - Returns: false if some files may be hidden. A process that has ended has no open files.
  @discardableResult
  static func visit(_ id: Int32, _ body: (Entry) -> Void) -> Bool {
    guard let count = visit("/proc/\(id)/fd", of: id, body) else { return false }
    // Two links and one for each thread.
    var status = stat()
    guard stat("/proc/\(id)/task", &status) == 0, status.st_nlink > 3 else { return true }
    return visitThreads(of: id, besides: count, body)
  }

  private static func visitThreads(of id: Int32, besides count: Int, _ body: (Entry) -> Void) -> Bool {
    guard let folder = opendir("/proc/\(id)/task") else { return errno != EACCES && errno != EPERM }
    defer { closedir(folder) }
    var (seen, tables, isComplete) = (count, [id], true)
    while let entry = readdir(folder) {
      guard let thread = Int32(name(of: entry)), thread != id else { continue }
      // If the kernel cannot compare tables, the first table that shows files is assumed to be that
      // of all threads.
      let isNew = tables.allSatisfy { csqlite_compare_file_tables($0, thread) > 0 }
      guard isNew || seen == 0 else { continue }
      guard let more = visit("/proc/\(id)/task/\(thread)/fd", of: id, body) else {
        isComplete = false
        continue
      }
      seen += more
      tables.append(thread)
    }
    return isComplete
  }

  /// - Parameter path: of a table in `/proc`.
  /// - Returns: the number of its files; nil if they may not be seen.
  private static func visit(_ path: String, of id: Int32, _ body: (Entry) -> Void) -> Int? {
    guard let folder = opendir(path) else { return errno == EACCES || errno == EPERM ? nil : 0 }
    defer { closedir(folder) }
    var count = 0
    while let entry = readdir(folder) {
      guard let isDots = withName(of: entry, { visit($0, dirfd(folder), of: id, body) }) else { return nil }
      if !isDots { count += 1 }
    }
    return count
  }

  /// - Returns: whether the name is one that every folder has; nil if the file may not be seen.
  private static func visit(
    _ name: UnsafePointer<CChar>, _ folder: Int32, of id: Int32, _ body: (Entry) -> Void
  ) -> Bool? {
    if name[0] == CChar(bitPattern: UInt8(ascii: ".")) { return true }
    var (device, inode) = (UInt64(0), UInt64(0))
    guard csqlite_stat_cached(folder, name, &device, &inode) == 0 else {
      return errno == EACCES || errno == EPERM ? nil : false
    }
    let identity = FileIdentity(device: device, inode: inode)
    body(Entry(process: id, identity: identity, folder: folder, name: name))
    return false
  }

  static func name(of entry: UnsafeMutablePointer<dirent>) -> String { withName(of: entry) { String(cString: $0) } }

  private static func withName<T>(of entry: UnsafeMutablePointer<dirent>, _ body: (UnsafePointer<CChar>) -> T) -> T {
    withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: $0.pointee)) { body($0) }
    }
  }
}
