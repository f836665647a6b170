import CSQLite
import Glibc

/// The other processes that have a database's write-ahead log or its index open.
///
/// SQLite's locks do not show them all: a program that opens and closes its own database file once more (to copy or to hash
/// it) drops all its POSIX locks on it, and goes on writing.
package struct LogHolders: Hashable, Sendable {
  package var processes: [OtherProcess]
  /// Why there may be more than these; nil if there are not.
  package var doubt: String?

  package init(processes: [OtherProcess] = [], doubt: String? = nil) {
    self.processes = processes
    self.doubt = doubt
  }

  /// Looks for them.
  ///
  /// - Parameter path: the database's, links resolved.
  package init(ofLogBeside path: String) {
    let files = DatabaseFiles(resolvedPath: path)
    (processes, doubt) = Self.find(Set([files.wal, files.sharedMemory].compactMap { $0 }))
    doubt = doubt ?? Self.doubt(about: path)
  }

  /// The processes that have one of these files open, as far as `/proc` shows them.
  static func processes(having files: Set<FileIdentity>) -> [OtherProcess] { find(files).processes }

  private static func find(_ files: Set<FileIdentity>) -> (processes: [OtherProcess], doubt: String?) {
    OtherProcess.lasting { only in
      var found: Set<Int32> = []
      let doubt = ProcessFiles.visit(only: only) { if files.contains($0.identity) { found.insert($0.process) } }
      return (found, doubt)
    }
  }

  /// Whether processes that `/proc` never shows may have the database open.
  private static func doubt(about path: String) -> String? {
    if isRemote(path) { return "other machines may have it open" }
    let folder = folder(of: path)
    // A container's own root, an overlay, is seen by its processes alone; another file system perhaps by others.
    let isOwn =
      csqlite_file_system_type("/") == overlay
      && FileFacts(path: folder)?.identity.device == FileFacts(path: "/")?.identity.device
    if ProcessFiles.isWholeMachine || isOwn { return nil }
    return "processes of other containers are hidden"
  }

  /// Whether other machines, or a program, may serve the file: its locks are then perhaps not the kernel's.
  static func isRemote(_ path: String) -> Bool {
    remoteFileSystems.contains(csqlite_file_system_type(folder(of: path)))
  }

  private static func folder(of path: String) -> String { path.lastIndex(of: "/").map { String(path[...$0]) } ?? "." }

  private static let overlay: UInt32 = 0x794c_7630

  /// `f_type` of statfs(2): NFS, SMB (three), FUSE, 9P, AFS, Ceph, Lustre, GFS2, OCFS2.
  private static let remoteFileSystems: Set<UInt32> = [
    0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997, 0x5346_414f, 0x00c3_6400, 0x0bd0_0bd0,
    0x0116_1970, 0x7461_636f,
  ]
}

/// Processes that go on writing into a write-ahead log that was deleted under them. What they commit is in a file that no
/// other program can open, and the database file alone is older than what they see.
enum DeletedLog {
  /// - Parameter path: the database's, links resolved.
  /// - Returns: those that have the database open, and a deleted log of its name and not the present one.
  static func holders(of path: String) -> [OtherProcess] {
    guard let database = FileFacts(path: path)?.identity else { return [] }
    let wal = FileFacts(path: path + "-wal")?.identity
    let ending = "/" + (path.split(separator: "/").last ?? "") + "-wal (deleted)"
    return OtherProcess.lasting { only in
      var (open, current, deleted): (Set<Int32>, Set<Int32>, Set<Int32>) = ([], [], [])
      let doubt = ProcessFiles.visit(only: only) { entry in
        if entry.identity == database { open.insert(entry.process) }
        if entry.identity == wal { current.insert(entry.process) }
        if entry.isDeleted, entry.path()?.hasSuffix(ending) == true { deleted.insert(entry.process) }
      }
      return (open.intersection(deleted).subtracting(current), doubt)
    }.processes
  }
}
