import CSQLite
import Glibc

/// Another process, for messages.
package struct OtherProcess: Hashable, Sendable, CustomStringConvertible {
  package var id: Int32
  /// The kernel's name of its program; empty if it cannot be read.
  package var name: String

  package init(id: Int32, name: String) {
    self.id = id
    self.name = name
  }

  package var description: String { name.isEmpty ? "process \(id)" : "\(name) (process \(id))" }
}

extension OtherProcess {
  /// The processes that `find` finds twice, a moment apart: a child that a program starts shares its files until it runs
  /// another program. This program's own children in that state do not count, however long it lasts.
  ///
  /// - Parameter find: looks among these processes, nil for all; returns also why it may have missed some.
  static func lasting(
    _ find: (Set<Int32>?) -> (Set<Int32>, String?)
  ) -> (processes: [OtherProcess], doubt: String?) {
    var (found, doubt) = find(nil)
    if !found.isEmpty {
      usleep(2000)
      found = find(found).0.filter { !ProcessFiles.isUnstartedChild($0) }
    }
    // A child that has started its program in between has closed what it shared.
    if !found.isEmpty { found = find(found).0 }
    return (found.sorted().map { OtherProcess(id: $0, name: ProcessFiles.name(ofProcess: $0)) }, doubt)
  }
}

/// The open files of all other processes that `/proc` shows to this one.
///
/// Reads descriptors only, not mappings: SQLite keeps the descriptor of each file that it maps.
enum ProcessFiles {
  /// One open file of one process.
  struct Entry {
    var process: Int32
    var identity: FileIdentity
    /// No name leads to it any more.
    var isDeleted: Bool
    /// The path it was opened by; read only if asked for.
    var path: () -> String?
  }

  /// Calls `body` for each open file.
  ///
  /// - Parameter only: these processes; nil for all.
  /// - Returns: why open files of other processes may have been missed; nil if none can have been.
  static func visit(only processes: Set<Int32>? = nil, _ body: (Entry) -> Void) -> String? {
    guard let folder = opendir("/proc") else { return "/proc cannot be read" }
    defer { closedir(folder) }
    let own = getpid()
    var (doubt, sawFirst): (String?, Bool) = (nil, false)
    while let entry = readdir(folder) {
      guard let id = Int32(name(of: entry)) else { continue }
      if id == 1 { sawFirst = true }
      guard id != own, processes?.contains(id) ?? true else { continue }
      // The first process of the machine opens no databases, and some systems hide its files from root too.
      if !visit(id, body), id != 1 || !isWholeMachine {
        doubt = doubt ?? "the open files of process \(id) may not be seen"
      }
    }
    return sawFirst ? doubt : "other users' processes are hidden"
  }

  /// Whether this process sees the machine's processes, and not only those of its container.
  static let isWholeMachine: Bool = {
    var buffer = [CChar](repeating: 0, count: 64)
    guard readlink("/proc/self/ns/pid", &buffer, buffer.count - 1) > 0 else { return false }
    // PROC_PID_INIT_INO, the first namespace's number on every kernel.
    return text(buffer) == "pid:[4026531836]"
  }()

  static func name(ofProcess id: Int32) -> String { String(start(of: "/proc/\(id)/comm").prefix { $0 != "\n" }) }

  /// Whether a process is a child of this one that still runs the same program: between `fork` and `exec`.
  static func isUnstartedChild(_ id: Int32) -> Bool {
    // pid (comm) state ppid …; the name may hold anything, also a parenthesis.
    let status = start(of: "/proc/\(id)/stat")
    guard let end = status.lastIndex(of: ")") else { return false }
    let fields = status[end...].split(separator: " ")
    guard fields.count > 2, Int32(fields[2]) == getpid() else { return false }
    func program(_ id: String) -> FileIdentity? { FileFacts(path: "/proc/\(id)/exe")?.identity }
    return program("\(id)") == program("self")
  }

  /// The first 512 bytes of a file in `/proc`, which has no size; empty if it cannot be read.
  private static func start(of path: String) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    var buffer = [UInt8](repeating: 0, count: 512)
    let count = max(0, read(file, &buffer, buffer.count))
    return String(decoding: buffer.prefix(count), as: UTF8.self)
  }

  /// False if the process's files may not be seen. One that has ended has none.
  private static func visit(_ id: Int32, _ body: (Entry) -> Void) -> Bool {
    guard let folder = opendir("/proc/\(id)/fd") else { return errno != EACCES && errno != EPERM }
    defer { closedir(folder) }
    while let entry = readdir(folder) {
      let name = name(of: entry)
      guard name.first != "." else { continue }
      var (device, inode, links) = (UInt64(0), UInt64(0), UInt32(0))
      guard csqlite_stat_cached(dirfd(folder), name, &device, &inode, &links) == 0 else {
        if errno == EACCES || errno == EPERM { return false }
        continue
      }
      body(
        Entry(process: id, identity: FileIdentity(device: device, inode: inode), isDeleted: links == 0) {
          var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
          guard readlinkat(dirfd(folder), name, &buffer, buffer.count - 1) > 0 else { return nil }
          return text(buffer)
        })
    }
    return true
  }

  private static func name(of entry: UnsafeMutablePointer<dirent>) -> String {
    withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: $0.pointee)) { String(cString: $0) }
    }
  }

  private static func text(_ buffer: [CChar]) -> String {
    String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
