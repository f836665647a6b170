/// Interprets the facts of an examination and adds advice.
package enum Diagnosis {
  package static func findings(_ facts: ExaminationFacts) -> [Finding] {
    [
      database(facts), schema(facts), flaw(facts), sideFiles(facts), otherNames(facts), journalMode(facts),
      repository(facts), strangeEntries(facts), lockedFiles(facts), privacy(facts), disk(facts), space(facts),
      flushing(facts),
      fileSystems(facts), stamps(facts), backups(facts), key(facts), watching(facts), openFiles(facts), threads(facts),
      fileSize(facts),
      sqlite(facts),
      clock(facts), container(facts), agent(facts), drills(facts),
    ].compactMap { $0 }
  }

  private static func database(_ facts: ExaminationFacts) -> Finding {
    let (file, folder) = (facts.database, facts.databaseFolder)
    func problem(_ detail: String, _ advice: String) -> Finding {
      Finding("database", .problem, detail, advice: advice)
    }
    guard file.exists else {
      return problem(
        "there is no database \(file.path)", "check the path; holdfast restore latest restores a lost file")
    }
    guard file.isReadable else {
      return problem("\(file.path) cannot be read by user \(facts.user)", "run as its owner, user \(file.owner)")
    }
    if let failure = facts.openingFailed {
      return problem(
        failure,
        facts.openingAdvice
          ?? "keep a copy of it and its -wal as they are; holdfast restore latest then restores the newest backup")
    }
    guard file.isWritable, folder.isWritable else {
      return Finding(
        "database", .warning,
        "user \(facts.user) may not write \(file.isWritable ? "the folder \(folder.path)" : file.path): it can be backed up, not restored",
        advice: "run as its owner, user \(file.owner), or allow both to the agent's group")
    }
    return Finding("database", .ok, "\(file.path), \(ByteCount(file.size)), readable and writable")
  }

  private static func schema(_ facts: ExaminationFacts) -> Finding? {
    guard let problem = facts.schemaProblem else { return nil }
    return Finding(
      "schema", .warning,
      "SQLite \(facts.sqliteVersion) cannot read it: \(problem); backups and restores work, SQLite's checks do not",
      advice: "run PRAGMA integrity_check in the application to see if its own SQLite can")
  }

  private static func flaw(_ facts: ExaminationFacts) -> Finding? {
    guard let flaw = facts.newestFlaw else { return nil }
    return Finding(
      "content", .problem,
      "SQLite's checks found a flaw in the database when it was backed up as \(flaw.point): \(flaw.findings)",
      advice:
        "PRAGMA integrity_check in the application shows the details; holdfast list shows which backups are flawed")
  }

  /// SQLite creates them with the database's mode, owned by the first user who opened it.
  private static func sideFiles(_ facts: ExaminationFacts) -> Finding? {
    guard let foreign = facts.sideFiles.first(where: { $0.owner != facts.database.owner }) else { return nil }
    return Finding(
      "side files", .problem,
      "\(foreign.path) belongs to user \(foreign.owner), and the database to user \(facts.database.owner)",
      advice: "chown \(facts.database.owner) \(foreign.path), and run everything that opens the database as that user")
  }

  /// SQLite names logs after the name under which a database is opened.
  private static func otherNames(_ facts: ExaminationFacts) -> Finding? {
    guard let others = facts.otherNames else { return nil }
    let found = others.found.isEmpty ? "" : ": " + others.found.joined(separator: ", ")
    return Finding(
      "hard links", .warning,
      "\(facts.database.path) has \(others.count) other name\(others.count == 1 ? "" : "s")\(found); the content of the "
        + "log of another name is not backed up",
      advice: "open the database by one name only, and remove the others")
  }

  private static func journalMode(_ facts: ExaminationFacts) -> Finding? {
    guard let mode = facts.journalMode else { return nil }
    if mode == "wal" { return Finding("journal mode", .ok, "wal: backups never make the application wait") }
    return Finding(
      "journal mode", .warning, "\(mode): the application cannot write for as long as its file is copied",
      advice: "PRAGMA journal_mode=WAL in the application, once, lifts that")
  }

  private static func repository(_ facts: ExaminationFacts) -> Finding {
    let folder = facts.repository
    if let refused = facts.repositoryRefused {
      return Finding(
        "backup folder", .problem, refused.message, advice: refused.hint ?? "name another folder with --backup-dir")
    }
    guard folder.exists else {
      return Finding("backup folder", .note, "\(folder.path) does not exist yet; the first backup makes it")
    }
    guard folder.isReadable, folder.isWritable else {
      return Finding(
        "backup folder", .problem, "user \(facts.user) may not write \(folder.path)",
        advice: "run as its owner, user \(folder.owner), or name another folder with --backup-dir")
    }
    return Finding("backup folder", .ok, "\(folder.path) is writable")
  }

  private static func backups(_ facts: ExaminationFacts) -> Finding? {
    guard let failed = facts.failedPoints else { return nil }
    let others = failed.count == 1 ? "" : ", and \(failed.count - 1) more"
    return Finding(
      "backups", .problem, "\(failed.newest) cannot be restored\(others): \(failed.reason)",
      advice:
        "holdfast verify --all checks each; a file that cannot be read may need its owner: user \(facts.repository.owner)"
    )
  }

  private static func privacy(_ facts: ExaminationFacts) -> Finding? {
    let folder = facts.repository
    guard folder.exists, folder.permissions & 0o022 != 0 else { return nil }
    return Finding(
      "privacy", .warning, "users other than its owner may write to \(folder.path) and delete its content",
      advice: "chmod 700 \(folder.path)")
  }

  private static func disk(_ facts: ExaminationFacts) -> Finding? {
    guard facts.repository.device == facts.databaseFolder.device, facts.repository.device != 0 else { return nil }
    return Finding(
      "disk", .warning, "the backups are on the same file system as the database, and are lost with it",
      advice: "name a folder on another disk with --backup-dir, or copy the folder elsewhere regularly")
  }

  private static func space(_ facts: ExaminationFacts) -> Finding? {
    guard let free = facts.repository.free else {
      return Finding(
        "free space", .note,
        "unknown: the file system of \(facts.repository.path) gives no numbers, so min_free_space removes nothing there"
      )
    }
    let needed = facts.database.size.addingClamped(facts.database.size)
    if free >= needed { return Finding("free space", .ok, "\(ByteCount(free)) for backups") }
    return Finding(
      "free space", free < facts.database.size ? .problem : .warning,
      "\(ByteCount(free)) are left for backups of a database of \(ByteCount(facts.database.size))",
      advice: "free some, or remove old backups with holdfast cleanup")
  }

  private static func flushing(_ facts: ExaminationFacts) -> Finding? {
    guard facts.repository.flushesFolders == false else { return nil }
    return Finding(
      "folder flush", .warning,
      "the file system of \(facts.repository.path) cannot flush a folder: after a power loss the newest backups may be missing",
      advice: "name a folder on another file system with --backup-dir, or copy the backups elsewhere regularly")
  }

  private static func fileSystems(_ facts: ExaminationFacts) -> Finding? {
    if let kind = facts.databaseFolder.networkFileSystem {
      return Finding(
        "file system", facts.journalMode == "wal" ? .problem : .warning,
        "the database is on \(kind): SQLite's locks and shared memory are not reliable there, and changes from other machines raise no event",
        advice: "move the database to a local disk, and let one machine alone open it")
    }
    if let kind = facts.repository.networkFileSystem {
      return Finding(
        "file system", .note, "the backups are on \(kind); the server decides how durable a flush is")
    }
    return Finding("file system", .ok, "local")
  }

  private static func stamps(_ facts: ExaminationFacts) -> Finding? {
    guard facts.database.hasFineStamps == false else { return nil }
    return Finding(
      "time stamps", .note,
      "the file system of \(facts.database.path) has no time stamps that prove a file unwritten: more backups compare all pages"
    )
  }

  private static func key(_ facts: ExaminationFacts) -> Finding {
    switch facts.key {
    case .opens(let point): return Finding("key", .ok, "opens the newest encrypted backup, \(point)")
    case .fails(let point, let code, let message):
      return Finding(
        "key", .problem, "the newest encrypted backup, \(point), does not open: \(message)",
        advice: code == .archiveCorrupt
          ? "holdfast verify \(point) shows the details; the backup before it may be whole"
          : "give the password or key that it was stored with")
    case .unproved(true): return Finding("key", .ok, "given; there is no encrypted backup yet to test it with")
    case .unproved(false) where facts.encrypts:
      return Finding(
        "key", .problem, "backups are encrypted, but there is neither a password nor a key",
        advice:
          "create a key file with holdfast init, set BACKUP_ENCRYPTION_PASSWORD, or use --no-encrypt")
    case .unproved(false):
      return Finding(
        "key", .warning, "backups are not encrypted: anyone who can read the folder can read the database",
        advice: "create a key file with holdfast init, and set encryption_enabled = true")
    }
  }

  /// The agent needs one instance and one watch a folder; editors and file managers use thousands.
  private static func watching(_ facts: ExaminationFacts) -> Finding {
    let limits =
      "fs.inotify.max_user_watches \(figure(facts.watchLimit)), max_user_instances \(figure(facts.instanceLimit))"
    if let failure = facts.watchFailed {
      return Finding(
        "inotify", .problem, "\(failure) (\(limits))",
        advice: "raise the limit with sysctl; until then the agent only polls, every 30 s")
    }
    guard (facts.watchLimit ?? .max) >= 1024, (facts.instanceLimit ?? .max) >= 16 else {
      return Finding(
        "inotify", .warning, "works now, with low limits: \(limits)",
        advice: "sysctl fs.inotify.max_user_watches=65536 fs.inotify.max_user_instances=128")
    }
    return Finding("inotify", .ok, limits)
  }

  private static func figure(_ limit: Int64?) -> String { limit.map { "\($0)" } ?? "unknown" }

  private static func clock(_ facts: ExaminationFacts) -> Finding {
    if let newest = facts.newestPoint, newest > facts.time.adding(seconds: 60) {
      return Finding(
        "clock", .problem, "it shows \(facts.time.iso8601), and the newest backup is from \(newest.iso8601)",
        advice: "set the clock; removal of backups by age waits until it is right")
    }
    if let doubt = facts.clockDoubt {
      return Finding(
        "clock", .warning, "\(doubt); removal of backups by age waits",
        advice: "set the clock; if it is right, run holdfast compact --trust-clock")
    }
    guard facts.namesMachineStart else {
      return Finding(
        "clock", .note,
        "\(facts.time.iso8601); the kernel does not name this start of the machine (boot_id is hidden), so a restart may "
          + "look like a clock that was set")
    }
    guard facts.clockIsKept == false else { return Finding("clock", .ok, facts.time.iso8601) }
    return Finding("clock", .note, "\(facts.time.iso8601); the kernel knows no time server for it")
  }

  private static func container(_ facts: ExaminationFacts) -> Finding? {
    guard facts.isContainer else { return nil }
    return Finding(
      "container", .note,
      "in a container: processes outside that have the database open are not named in messages; locks still work on one host"
    )
  }

  private static func agent(_ facts: ExaminationFacts) -> Finding {
    Finding("agent", .ok, facts.agent.map { "running: \($0)" } ?? "not running for this backup folder")
  }
}

extension Diagnosis {
  /// Commands that need such a file fail, or go on without it.
  static func strangeEntries(_ facts: ExaminationFacts) -> Finding? {
    guard let first = facts.strangeEntries.first else { return nil }
    let others = facts.strangeEntries.dropFirst().map(\.path)
    let more = others.isEmpty ? "" : "; also not as expected: \(others.joined(separator: ", "))"
    return Finding(
      "state files", .problem, "\(first.path) is \(first.kind), and must be \(first.expected)\(more)",
      advice: "inspect it with ls -ld \(first.path.shellWord), and move it away")
  }

  /// Left by a root that ran an older version, or by another user's run.
  static func lockedFiles(_ facts: ExaminationFacts) -> Finding? {
    guard let locked = facts.lockedFiles else { return nil }
    let folder = facts.repository
    let others = locked.count == 1 ? "" : ", and so do \(locked.count - 1) more"
    return Finding(
      "files", .problem,
      "\(locked.path) belongs to user \(locked.owner)\(others), and user \(folder.owner), who owns the folder, cannot read it",
      advice: "chown -R --reference=\(folder.path.shellQuoted) \(folder.path.shellQuoted)")
  }
}

extension String {
  /// One word for a shell.
  fileprivate var shellQuoted: String {
    let plain =
      !isEmpty
      && utf8.allSatisfy { byte in
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
          || "/._-+,:@".utf8.contains(byte)
      }
    return plain ? self : "'" + split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}

extension Diagnosis {
  /// Whether a drill has restored a backup; nil if there is nothing to drill yet.
  static func drills(_ facts: ExaminationFacts) -> Finding? {
    guard let summary = facts.drills else { return nil }
    let concerns = summary.concerns(maxAge: facts.drillAge, now: facts.time)
    if !concerns.isEmpty {
      return Finding(
        "drills", .warning, concerns.map(\.words).joined(separator: "; "),
        advice: "holdfast drill shows whether the newest backup can be restored, and the reason if it cannot")
    }
    guard let passed = summary.lastPassed else {
      return Finding(
        "drills", .note, "no drill yet: holdfast drill proves that the newest backup can be restored")
    }
    return Finding("drills", .ok, "the last one passed at \(passed.iso8601)")
  }
}

extension Diagnosis {
  /// Archives, logs and the restored database are each one file.
  static func fileSize(_ facts: ExaminationFacts) -> Finding? {
    guard let limit = facts.fileSizeLimit else { return nil }
    let size = facts.database.size
    let isShort = limit < size.multipliedClamped(by: 2)
    return Finding(
      "file size", isShort ? .problem : .note,
      "no file may grow beyond \(ByteCount(limit)), and the database has \(ByteCount(size))",
      advice: "raise the limit: ulimit -f, or LimitFSIZE= in the systemd unit")
  }

  static func threads(_ facts: ExaminationFacts) -> Finding? {
    guard let threads = facts.threads else { return nil }
    guard let shortage = threads.shortage else {
      return Finding("threads", .ok, "the agent's \(threads.needed) can be started")
    }
    return Finding("threads", .problem, "\(shortage): it would not start", advice: threads.advice)
  }

  /// One agent backs up many databases, so the limit is judged by the number of databases for which
  /// it is enough.
  static func openFiles(_ facts: ExaminationFacts) -> Finding? {
    guard let limit = facts.openFileLimit else { return nil }
    let workers = 4
    let each =
      DescriptorBudget.wanted(databases: 1, workers: workers) - DescriptorBudget.wanted(databases: 0, workers: workers)
    let databases = max(0, limit - DescriptorBudget.wanted(databases: 0, workers: workers)) / each
    guard limit >= DescriptorBudget.least else {
      return Finding(
        "open files", .problem, "at most \(limit), too few for an agent with one database",
        advice: "raise the hard limit: ulimit -Hn, or LimitNOFILE= in the systemd unit")
    }
    guard databases < 16 else {
      return Finding("open files", .ok, "at most \(limit), enough for an agent with \(databases) databases")
    }
    return Finding(
      "open files", .warning,
      "at most \(limit), enough for an agent with \(databases) database\(databases == 1 ? "" : "s"); with more, backups are slower",
      advice: "raise the hard limit: ulimit -Hn, or LimitNOFILE= in the systemd unit")
  }
}
