import BackupEngine
import BackupPolicy
import Glibc
import TestSupport

/// Events that may happen to a database between two backups.
extension ChainHistory {
  func step() throws {
    switch number(0...99) {
    case 0..<36: try act(write)
    case 36..<47: try act("PRAGMA wal_checkpoint(\(pick(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])))")
    case 47..<52: try close()
    case 52..<53: try moveOver()
    case 53..<55: try act(pick(["VACUUM", "PRAGMA incremental_vacuum(5)", "PRAGMA incremental_vacuum(1)"]))
    case 55..<57: try switchMode()
    case 57..<58: try changePageSize()
    case 58..<60: settle()
    case 60..<62: try restartAgent()
    case 62..<64: try shortSessions()
    case 64..<66: try killSomebody()
    case 66..<67: try pick([loseSharedMemory, loseEndOfLog])()
    case 67..<69: try letOthersBackUp()
    case 69..<70: try restore()
    case 70..<72: try backUpOnSchedule()
    case 72..<76: try cleanUp()
    default: try backUp()
    }
  }

  var write: String {
    let id = number(1...400)
    return switch number(0...9) {
    case 0..<4: "UPDATE t SET v = randomblob(300) WHERE id = \(id)"
    case 4..<6: "REPLACE INTO t VALUES (\(id), randomblob(\(number(1...2000))))"
    case 6: "DELETE FROM t WHERE id BETWEEN \(id) AND \(id + number(0...20))"
    case 7: "INSERT OR REPLACE INTO t SELECT n, randomblob(400) FROM (\(DatabaseFixture.numbers(number(1...60))))"
    case 8: "BEGIN; UPDATE t SET v = randomblob(300) WHERE id < 90; ROLLBACK"
    default:
      """
      BEGIN; SAVEPOINT s; DELETE FROM t WHERE id < \(id); UPDATE t SET v = randomblob(99) WHERE id < 500; ROLLBACK TO s;
      UPDATE t SET v = zeroblob(9) WHERE id = \(id); COMMIT
      """
    }
  }

  /// Small caches, so that pages are spilled before their commit.
  var options: String {
    """
    PRAGMA synchronous = OFF; PRAGMA cache_size = \(number(5...50));
    PRAGMA wal_autocheckpoint = \(pick([1, 5, 20, 100, 1000, 10000]));
    PRAGMA journal_size_limit = \(pick([-1, 0, 20000]));
    """
  }

  /// Lets one of the programs do it; if another one locks it out, that is an ordinary result.
  private func act(_ sql: String) throws {
    if number(0...3) == 0 {
      let connection = number(0...1)
      let setup = number(0...5) == 0 ? options : ""
      note("other \(connection): \(setup)\(sql.prefix(60)) → \(try other.run(setup + sql, on: connection))")
      return
    }
    guard let application = application() else { return }
    note("\(sql.prefix(60)) → \(application.attempt(sql))")
    if application.attempt("ROLLBACK") == 0 { note("rolled back") }
  }

  private func application() -> DatabaseApplication? {
    if let known = applications.randomElement(using: &random), applications.count > 2 || number(0...3) > 0 {
      return known
    }
    guard let opened = try? DatabaseApplication(bed.database, options, busyTimeout: 20) else { return nil }
    note("open")
    applications.append(opened)
    return opened
  }

  private func close() throws {
    if number(0...2) == 0 {
      note("other closes")
      try other.closeConnection(number(0...1))
    } else if !applications.isEmpty {
      note("close")
      applications.remove(at: number(0...applications.count - 1)).close()
    }
    if number(0...1) == 0 { releaseDatabase() }
  }

  func closeAll() throws {
    let isFirst = number(0...1) == 0
    if isFirst { releaseDatabase() }
    applications.forEach { $0.close() }
    applications = []
    for connection in 0...1 { try other.closeConnection(connection) }
    if !isFirst { releaseDatabase() }
    // A killed program left a log; the last one to close checkpoints it.
    try DatabaseApplication(bed.database, "SELECT count(*) FROM t").close()
    note("all closed")
  }

  /// Until the file's times can show a later write.
  private func settle() { usleep(25000) }

  /// Another database of the same shape replaces it. A file moved over one that is in use is a case
  /// of its own.
  private func moveOver() throws {
    try closeAll()
    guard try bed.environment().files.status(bed.database + "-wal")?.size ?? 0 == 0 else { return }
    let path = bed.folder.path("other.db")
    unlink(path)
    let source = try DatabaseApplication(bed.database)
    try source.backup(to: path)
    source.close()
    let copy = try DatabaseApplication(path, "PRAGMA journal_mode = wal; UPDATE t SET v = randomblob(50) WHERE id < 9")
    copy.close()
    guard try bed.environment().files.status(bed.database + "-wal")?.size ?? 0 == 0 else { return }
    if number(0...1) == 0 { settle() }
    note("moved over")
    try bed.environment().files.rename(path, to: bed.database)
  }

  private func switchMode() throws {
    if number(0...1) == 0 { try closeAll() }
    try act("PRAGMA journal_mode = \(pick(["delete", "wal", "truncate", "persist", "memory"]))")
    try act(write)
    if number(0...1) == 0 { try backUp() }
    if number(0...2) > 0 { try act("PRAGMA journal_mode = wal") }
  }

  private func changePageSize() throws {
    try closeAll()
    let size = pick([512, 1024, 2048, 4096])
    let program = try DatabaseApplication(
      bed.database, "PRAGMA journal_mode = delete; PRAGMA page_size = \(size); VACUUM; PRAGMA journal_mode = wal")
    note("page size \(size)")
    program.close()
  }

  /// Programs that open, write and close: `sqlite3 app.db …` twice in a row.
  private func shortSessions() throws {
    for _ in 0..<number(1...3) {
      let sql = write
      let result = try Shell.run("sqlite3", [bed.database, sql])
      note("sqlite3 \(sql.prefix(60)) → \(result.status)")
      if number(0...3) == 0 { try backUp() }
    }
  }

  /// The command line beside the agent: backups that its tracker does not know of, and one that is
  /// removed.
  private func letOthersBackUp() throws {
    bed.time.advance(milliseconds: 1000)
    switch number(0...2) {
    case 0:
      note("holdfast create: \(try bed.engine().create(CreateRequest()).id)")
    case 1:
      note("holdfast create --incremental: \(try bed.engine().store(CreateRequest(), kind: .incremental))")
    default:
      let newest = try bed.engine().point("latest").id
      // If it is the only one, it stays.
      guard points.contains(where: { $0 != newest }), (try? bed.engine().delete(newest.text)) != nil else { return }
      note("deleted \(newest)")
      forgetPoint(newest)
    }
  }

  private func restore() throws {
    let request = RestoreRequest(pointID: pick(points), target: .database(path: bed.database))
    guard case .plan(let plan) = try bed.engine().planRestore(request) else { return note("restore refused") }
    do {
      note("restored \(request.pointID): \(try bed.engine().restore(plan).safetyBackupID?.text ?? "-")")
    } catch let error as HoldfastError where error.code == .busy {
      note("restore: \(error)")
    }
  }
}

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
