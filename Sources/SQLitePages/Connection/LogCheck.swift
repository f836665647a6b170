import CSQLite
import Glibc
import Names

/// Checks that the log that SQLite would use for a database is the one that its applications write,
/// and that opening it does not harm them. Runs before SQLite reads, and so before it creates or
/// empties any file.
/// C14 in `contrib/docs/ARCHITECTURE.md`.
enum LogCheck {
  /// - Parameters:
  ///   - hadWAL: there is a `-wal`.
  ///   - isKnown: it and its `-shm` are those that an earlier connection checked.
  /// - Throws: `.logDeleted`, `.logElsewhere`, `.hardLinked`, `.indexUnlocked`, `.journalUnlocked`,
  ///   `.transactionInDoubt`.
  static func require(
    _ location: DatabaseLocation, hadWAL: Bool, isKnown: Bool, database: SQLiteFile?
  ) throws(DatabaseError) {
    if !LogUsers.isRemote(location.resolved) {
      if hadWAL { try requireLockedIndex(location) }
      if location.hasJournal { try requireLockedJournal(location) }
    }
    let hasWALFormat = database?.hasWALFormat == true
    try requireOnlyName(location, hasWALFormat: hasWALFormat)
    // Without a log, either the database was closed properly, or its log is elsewhere. The same is
    // true if log or index are not the known ones.
    guard !isKnown, hasWALFormat else { return }
    if let log = MisplacedLog.find(of: location.resolved).first { throw log.error(location) }
    try requireFolder(location)
  }

  /// A file that is mounted alone, as into a container, has no log beside it: the application's log is in the folder that the
  /// file was mounted from. A log with content beside the mount point is the one in use.
  private static func requireFolder(_ location: DatabaseLocation) throws(DatabaseError) {
    let hasOwnLog = (FileFacts(path: location.resolved + "-wal")?.size ?? 0) > 0
    guard !hasOwnLog, MountPoints.include(location.resolved) else { return }
    throw DatabaseError(
      .mountedAlone, path: location.given,
      message: "cannot use \(location.given): the file is mounted alone, without its folder, and the application's "
        + "write-ahead log may hold commits that are not seen here")
  }

  /// A log or a journal of another name is refused in every mode. If some names cannot be found, a
  /// log of this name that has content is trusted, and so is the absence of a rollback journal.
  private static func requireOnlyName(_ location: DatabaseLocation, hasWALFormat: Bool) throws(DatabaseError) {
    guard let links = HardLinks(of: location.resolved), !links.areHarmless else { return }
    let hasOwnLog = (FileFacts(path: location.resolved + "-wal")?.size ?? 0) > 0
    guard links.hasLog || hasWALFormat && !hasOwnLog else { return }
    let other = links.namesWithLog.first ?? links.beside.first
    throw DatabaseError(
      .hardLinked(other: other), path: location.given,
      message:
        "cannot use \(location.given): it has another name\(other.map { ", \($0)" } ?? ""), and the log or journal "
        + "of that name may contain commits that are not visible here")
  }

  /// SQLite empties a `-shm` without a lock, because it assumes that a crash has left it. A program
  /// that opened and closed that file once more has no lock on it, and would continue in the middle
  /// of a transaction with an index that lacks its frames.
  private static func requireLockedIndex(_ location: DatabaseLocation) throws(DatabaseError) {
    guard let holders = unlockedHolders(location) else { return }
    if let process = holders.processes.first, isLasting(process, location) {
      throw DatabaseError(
        .indexUnlocked(process), path: location.given,
        message: "cannot use \(location.given): \(process) has \(location.resolved)-shm open and no lock on it, so "
          + "that opening it would empty it under that program")
    }
    guard let doubt = holders.doubt else { return }
    if WALTail.isInTransaction(location.resolved + "-wal") {
      throw inDoubt(location, "a write-ahead log that ends in a", doubt)
    }
    if hasLastingHiddenWriter(location) {
      throw DatabaseError(
        .indexUnlocked(nil), path: location.given,
        message: "cannot use \(location.given): a process that cannot be seen has \(location.resolved)-wal open and no "
          + "lock on \(location.resolved)-shm, so that opening it would empty that index under the process")
    }
  }

  /// Whether a program that cannot be seen has the log open for writing, and the index has no lock,
  /// in each of several checks.
  private static func hasLastingHiddenWriter(_ location: DatabaseLocation) -> Bool {
    func isThere() -> Bool { FileLease.writers(of: location.resolved + "-wal") == .some }
    guard isThere() else { return false }
    for _ in 0..<10 {
      usleep(50_000)
      guard isThere(), unlockedHolders(location) != nil else { return false }
    }
    return true
  }

  /// Whether a program has the index open without a lock in each of several checks. A single check
  /// can be wrong: a program that is opening has the file for a moment before it has the lock, and
  /// a deleted file's inode may have been reused.
  private static func isLasting(_ process: OtherProcess, _ location: DatabaseLocation) -> Bool {
    for _ in 0..<10 {
      usleep(50_000)
      guard unlockedHolders(location)?.processes.first == process else { return false }
    }
    return true
  }

  /// The processes that have the index open; nil if there is no index, or if it is locked.
  private static func unlockedHolders(_ location: DatabaseLocation) -> LogUsers? {
    let path = location.resolved + "-shm"
    guard let index = FileFacts(path: path)?.identity, !KernelLocks.include(connectionByte, of: index, at: path) else {
      return nil
    }
    let holders = LogUsers(of: [index], beside: location.resolved)
    guard !KernelLocks.include(connectionByte, of: index, at: path), FileFacts(path: path)?.identity == index else {
      return nil
    }
    return holders
  }

  /// SQLite rolls back a journal without a lock, because it assumes that a crash has left it.
  private static func requireLockedJournal(_ location: DatabaseLocation) throws(DatabaseError) {
    func unlocked() -> (holders: LogUsers, journal: FileFacts)? {
      guard let database = FileFacts(path: location.resolved)?.identity,
        let journal = FileFacts(path: location.resolved + "-journal"), journal.size > 0,
        isInUse(location.resolved + "-journal"),
        !KernelLocks.include(reservedByte, of: database, at: location.resolved)
      else { return nil }
      return (LogUsers(of: [journal.identity], beside: location.resolved), journal)
    }
    // Twice, because a transaction may end between the checks of its journal and of its lock.
    guard let (first, _) = unlocked(), let (holders, journal) = unlocked() else { return }
    if let process = holders.processes.first, process == first.processes.first {
      throw DatabaseError(
        .journalUnlocked(process), path: location.given,
        message:
          "cannot use \(location.given): \(process) is in a transaction and has lost its locks, so that opening it "
          + "would roll that back under the program")
    }
    if let doubt = holders.doubt, WALTail.isRecent(journal) { throw inDoubt(location, "a journal with a", doubt) }
  }

  /// A crash leaves the same files, so the doubt ends some time after the last write.
  private static func inDoubt(_ location: DatabaseLocation, _ found: String, _ doubt: String) -> DatabaseError {
    DatabaseError(
      .transactionInDoubt, path: location.given,
      message: "cannot use \(location.given): it has \(found) transaction that was written to a short time ago, no "
        + "process has a lock on it, and \(doubt)")
  }

  /// `UNIX_SHM_DMS`, which each connection in WAL mode locks in the `-shm`.
  private static let connectionByte: UInt64 = 128
  /// `RESERVED_BYTE`, which a writer locks in the database for as long as it has a journal.
  private static let reservedByte: UInt64 = 0x4000_0001

  /// Whether a journal is in use: a finished one begins with zeros (`journal_mode=PERSIST`). SQLite
  /// takes no locks on a journal, so a descriptor of our own is safe.
  static func isInUse(_ path: String) -> Bool {
    let file = open(path.raw, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard file >= 0 else { return false }
    defer { close(file) }
    var byte: UInt8 = 0
    return read(file, &byte, 1) == 1 && byte != 0
  }
}

/// The locks of all processes.
enum KernelLocks {
  /// Whether a process, this one included, has a POSIX lock on that byte of the file at `path`; true
  /// if that cannot be found out.
  static func include(_ byte: UInt64, of file: FileIdentity, at path: String) -> Bool {
    let isListed = listInclude(byte, of: file)
    // The list lacks the locks of other containers.
    if let isListed, isListed || ProcessFiles.isWholeMachine { return isListed }
    switch csqlite_is_locked(path.raw, byte) {
    case 0: return false
    case 1: return true
    default: return isListed ?? true
    }
  }

  /// Whether `/proc/locks` shows such a lock; nil if it cannot be read.
  ///
  /// Compares the number of the inode alone, because on some file systems the kernel's name for the
  /// device differs from that of `stat`.
  private static func listInclude(_ byte: UInt64, of file: FileIdentity) -> Bool? {
    guard let stream = fopen("/proc/locks", "re") else { return nil }
    defer { fclose(stream) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), stream) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      // 1: POSIX  ADVISORY  READ 22950 fe:00:5523699 128 128
      let fields = text.split(whereSeparator: \.isWhitespace)
      guard fields.count >= 8, fields[1] == "POSIX", fields[5].hasSuffix(":\(file.inode)"),
        let first = UInt64(fields[6])
      else { continue }
      if first <= byte, byte <= UInt64(fields[7]) ?? .max { return true }
    }
    return false
  }
}

/// The other processes that have a database's write-ahead log or its index open.
///
/// SQLite's locks do not show all of them: a program that opens and closes its own database file
/// once more (to copy or to hash it) drops all its POSIX locks on it, and continues to write.
package struct LogUsers: Hashable, Sendable {
  package var processes: [OtherProcess]
  /// The reason why there may be more than these; nil if there are not.
  package var doubt: String?
  /// Looked up only in doubt.
  package var hidden = HiddenUsers.unknown

  package init(processes: [OtherProcess] = [], doubt: String? = nil, hidden: HiddenUsers = .unknown) {
    self.processes = processes
    self.doubt = doubt
    self.hidden = hidden
  }

  /// Looks for those of a log that this process has open through SQLite.
  ///
  /// - Parameter path: the database's, links resolved.
  package init(ofLogBeside path: String) {
    let files = DatabaseFiles(resolvedPath: path)
    self.init(of: Set([files.wal, files.sharedMemory].compactMap { $0 }), beside: path)
    if doubt != nil, processes.isEmpty { hidden = FileLease.otherUsers(of: path + "-wal") }
  }

  /// Looks for the processes that have one of these files open.
  ///
  /// - Parameter path: the database's, links resolved.
  init(of files: Set<FileIdentity>, beside path: String) {
    (processes, doubt) = Self.find(files)
    doubt = doubt ?? Self.doubt(about: path)
  }

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
    let folder = path.parentPath
    // A container's own root, an overlay, is visible only to its processes; another file system may
    // be visible to others.
    let isOwn =
      csqlite_file_system_type("/") == overlay
      && FileFacts(path: folder)?.identity.device == FileFacts(path: "/")?.identity.device
    if ProcessFiles.isWholeMachine || isOwn { return nil }
    return "processes of other containers are hidden"
  }

  /// Whether other machines, or a program, may serve the file: then the kernel may not see all
  /// locks on it.
  static func isRemote(_ path: String) -> Bool {
    remoteFileSystems.contains(csqlite_file_system_type(path.parentPath))
  }

  static let overlay: UInt32 = 0x794c_7630

  /// `f_type` of statfs(2): NFS, SMB (three), FUSE, 9P, AFS, Ceph, Lustre, GFS2, OCFS2.
  private static let remoteFileSystems: Set<UInt32> = [
    0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997, 0x5346_414f, 0x00c3_6400, 0x0bd0_0bd0,
    0x0116_1970, 0x7461_636f,
  ]
}

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
  /// The processes that have a file open, as far as `/proc` shows them: for messages, never for a decision.
  package static func having(_ file: FileIdentity) -> [OtherProcess] {
    var found: Set<Int32> = []
    _ = ProcessFiles.visit { if $0.identity == file { found.insert($0.process) } }
    return found.sorted().map { OtherProcess(id: $0, name: ProcessFiles.name(ofProcess: $0)) }
  }

  /// The processes that `find` finds twice, a moment apart: a child that a program starts shares its files until it runs
  /// another program. This program's own children in that state do not count, however long it lasts.
  ///
  /// - Parameter find: searches these processes, or all if nil; also returns why it may have missed
  ///   some.
  static func lasting(
    _ find: (Set<Int32>?) -> (Set<Int32>, String?)
  ) -> (processes: [OtherProcess], doubt: String?) {
    var (found, doubt) = find(nil)
    if !found.isEmpty {
      usleep(2000)
      found = find(found).0.filter { !ProcessFiles.isUnstartedChild($0) }
    }
    // A child that has started its program in between has closed the shared files.
    if !found.isEmpty { found = find(found).0 }
    return (found.sorted().map { OtherProcess(id: $0, name: ProcessFiles.name(ofProcess: $0)) }, doubt)
  }
}
