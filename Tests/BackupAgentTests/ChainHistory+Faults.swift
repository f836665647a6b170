import BackupEngine
import Glibc
import TestSupport

/// Faults between two backups.
extension ChainHistory {
  /// The application is killed within a transaction or around a commit.
  func killSomebody() throws {
    let end = pick(["SELECT 1", "COMMIT"])
    let sql =
      "\(options) PRAGMA synchronous = FULL; BEGIN; UPDATE t SET v = randomblob(500) WHERE id < \(number(1...300)); \(end)"
    note("killed at \(sql.suffix(70))")
    try other.kill(after: UInt32(number(0...4000)), of: sql)
    other = try DatabaseProcess(bed.database, in: bed.folder)
  }

  /// After a crash no program is left, and the side files are removed while the log still needs
  /// recovery.
  func loseSharedMemory() throws {
    try closeAll()
    try other.run("\(options) \(write); \(write)")
    try other.kill(after: 0, of: "SELECT 1")
    other = try DatabaseProcess(bed.database, in: bed.folder)
    unlink(bed.database + "-shm")
    note("-shm removed")
  }

  /// A power cut takes the newest commits, or a person removes the whole log, while the agent
  /// follows it.
  func loseEndOfLog() throws {
    try closeAll()
    try other.run("\(options) PRAGMA wal_autocheckpoint = 0; \(write); \(write)")
    try backUp()
    releaseDatabase()
    try other.run(write)
    try other.kill(after: 0, of: "SELECT 1")
    other = try DatabaseProcess(bed.database, in: bed.folder)
    let log = bed.database + "-wal"
    let size = try bed.environment().files.status(log)?.size ?? 0
    if number(0...2) == 0 { unlink(log) } else { truncate(log, off_t(number(0...Int(size)))) }
    unlink(bed.database + "-shm")
    hasLostLog = true
    note("the log has \(size) bytes no more")
    if number(0...1) == 0 { try restartAgent() }
  }
}
