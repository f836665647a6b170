import Glibc
import Names

/// Whether the log that SQLite would use for a database is the one that its applications write, and can be opened without harm
/// to them. Asked before SQLite reads, and so before it makes or empties any file.
enum LogCheck {
  /// - Parameters:
  ///   - hadWAL: a `-wal` is there.
  ///   - isKnown: it is the one that an earlier connection looked at.
  /// - Throws: `.logDeleted`, `.hardLinked`, `.indexUnlocked`, `.journalUnlocked`.
  static func require(
    _ location: DatabaseLocation, hadWAL: Bool, isKnown: Bool, database: SQLiteFile?
  ) throws(DatabaseError) {
    if !LogHolders.isRemote(location.resolved) {
      if hadWAL { try requireLockedIndex(location) }
      if location.hasJournal { try requireLockedJournal(location) }
    }
    // No log: either the database was closed in an orderly way, or its log is elsewhere. Another log than before: the same.
    guard !isKnown, database?.hasWALFormat == true else { return }
    if !hadWAL { try requireOnlyName(location) }
    guard let process = DeletedLog.holders(of: location.resolved).first else { return }
    throw DatabaseError(
      .logDeleted(process), path: location.given,
      message: "cannot use \(location.given): \(location.resolved)-wal was deleted while \(process) has it open; "
        + "what it commits is seen by no other program")
  }

  private static func requireOnlyName(_ location: DatabaseLocation) throws(DatabaseError) {
    guard let links = HardLinks(of: location.resolved), !links.areHarmless else { return }
    let other = links.beside.first
    throw DatabaseError(
      .hardLinked(other: other), path: location.given,
      message:
        "cannot use \(location.given): it has another name\(other.map { ", \($0)" } ?? ""), and the write-ahead log "
        + "of that name may hold commits that are not seen here")
  }

  /// SQLite empties a `-shm` on which it finds no lock, as one that a crash has left. A program that opened and closed that file
  /// once more has no lock on it, and would go on in the middle of a transaction with an index that lacks its frames.
  private static func requireLockedIndex(_ location: DatabaseLocation) throws(DatabaseError) {
    guard let index = FileFacts(path: location.resolved + "-shm")?.identity,
      !KernelLocks.include(connectionByte, of: index),
      let process = LogHolders.processes(having: [index]).first, !KernelLocks.include(connectionByte, of: index)
    else { return }
    throw DatabaseError(
      .indexUnlocked(process), path: location.given,
      message: "cannot use \(location.given): \(process) has \(location.resolved)-shm open and no lock on it, so that "
        + "opening it would empty it under that program")
  }

  /// SQLite rolls a journal back on which it finds no lock, as one that a crash has left.
  ///
  /// - Throws: `.journalUnlocked`.
  private static func requireLockedJournal(_ location: DatabaseLocation) throws(DatabaseError) {
    func holder() -> OtherProcess? {
      guard let database = FileFacts(path: location.resolved)?.identity,
        let journal = FileFacts(path: location.resolved + "-journal"), journal.size > 0,
        isInUse(location.resolved + "-journal"), !KernelLocks.include(reservedByte, of: database)
      else { return nil }
      return LogHolders.processes(having: [journal.identity]).first
    }
    guard let process = holder(), holder() == process else { return }
    throw DatabaseError(
      .journalUnlocked(process), path: location.given,
      message:
        "cannot use \(location.given): \(process) is in a transaction and has lost its locks, so that opening it would "
        + "roll that back under the program")
  }

  /// `UNIX_SHM_DMS`, which each connection in WAL mode locks in the `-shm`.
  private static let connectionByte: UInt64 = 128
  /// `RESERVED_BYTE`, which a writer locks in the database for as long as it has a journal.
  private static let reservedByte: UInt64 = 0x4000_0001

  /// Whether a journal begins with anything but the zeros of one that has ended (`journal_mode=PERSIST`). SQLite takes no locks
  /// on a journal, so a descriptor of our own is safe.
  private static func isInUse(_ path: String) -> Bool {
    let file = open(path.raw, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard file >= 0 else { return false }
    defer { close(file) }
    var byte: UInt8 = 0
    return read(file, &byte, 1) == 1 && byte != 0
  }
}

/// The locks of all processes, as `/proc/locks` shows them.
enum KernelLocks {
  /// Whether a process, this one included, has a POSIX lock on that byte; true if it cannot be read.
  ///
  /// By the number of the inode alone: the kernel's name for the device is not the one of `stat` on every file system.
  static func include(_ byte: UInt64, of file: FileIdentity) -> Bool {
    guard let stream = fopen("/proc/locks", "re") else { return true }
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
