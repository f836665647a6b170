import BackupPolicy
import Testing

@Suite struct DiagnosisTests {
  /// A machine without any problem.
  static func healthy() throws -> ExaminationFacts {
    var database = ExaminationFacts.Place(path: "/srv/app.db")
    (database.exists, database.isReadable, database.isWritable) = (true, true, true)
    (database.owner, database.permissions, database.size, database.device) = (1000, 0o640, 1 << 20, 1)
    var folder = ExaminationFacts.Place(path: "/srv")
    (folder.exists, folder.isReadable, folder.isWritable, folder.device) = (true, true, true, 1)
    var repository = ExaminationFacts.Place(path: "/backups")
    (repository.exists, repository.isReadable, repository.isWritable) = (true, true, true)
    (repository.permissions, repository.device, repository.free) = (0o700, 2, 1 << 30)
    let now = try #require(Timestamp(iso8601: "2026-11-23T01:00:00Z"))
    var facts = ExaminationFacts(
      database: database, databaseFolder: folder, repository: repository, user: 1000, time: now,
      sqliteVersion: "3.51.3")
    facts.journalMode = "wal"
    facts.key = .opens(try point())
    (facts.watchLimit, facts.instanceLimit, facts.clockIsKept) = (65536, 128, true)
    return facts
  }

  static func point() throws -> PointID { try #require(PointID("backup_20261116_143022")) }

  @Test func allIsWell() throws {
    let findings = Diagnosis.findings(try Self.healthy())
    #expect(findings.allSatisfy { $0.level == .ok }, "\(findings.filter { $0.level != .ok })")
    #expect(findings.count == 10)
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let level: Finding.Level
    /// Part of the detail, and of the advice.
    let says: [String]
    let change: @Sendable (inout ExaminationFacts) throws -> Void
    var testDescription: String { "\(name): \(says[0])" }
  }

  static let cases: [Case] = [
    Case(name: "database", level: .problem, says: ["there is no database /srv/app.db", "restore"]) {
      $0.database.exists = false
    },
    Case(name: "database", level: .problem, says: ["cannot be read by user 1000", "user 1001"]) {
      ($0.database.isReadable, $0.database.owner) = (false, 1001)
    },
    Case(name: "database", level: .problem, says: ["is not a database", "holdfast restore"]) {
      $0.openingFailed = "/srv/app.db is not a database"
    },
    Case(name: "schema", level: .warning, says: ["near \"ORDER\"", "backups and restores work", "integrity_check"]) {
      $0.schemaProblem = "malformed database schema (v) - near \"ORDER\": syntax error"
    },
    Case(name: "content", level: .problem, says: ["NULL value in t.a", "backup_20261116_143022", "holdfast list"]) {
      $0.newestFlaw = .init(point: try point(), findings: "NULL value in t.a")
    },
    Case(name: "database", level: .warning, says: ["may not write the folder /srv", "owner"]) {
      $0.databaseFolder.isWritable = false
    },
    Case(name: "database", level: .warning, says: ["may not write /srv/app.db", "owner"]) {
      $0.database.isWritable = false
    },
    Case(
      name: "files", level: .problem,
      says: ["/backups/.state/pins.json belongs to user 0, and so do 2 more", "chown -R --reference=/backups /backups"]
    ) {
      $0.lockedFiles = .init(count: 3, path: "/backups/.state/pins.json", owner: 0)
    },
    Case(
      name: "state files", level: .problem,
      says: ["/backups/.state/lock is a named pipe, and must be a file; also not as expected: /b", "ls -ld"]
    ) {
      $0.strangeEntries = [
        .init(path: "/backups/.state/lock", kind: "a named pipe", expected: "a file"),
        .init(path: "/b", kind: "a socket", expected: "a file"),
      ]
    },
    Case(name: "side files", level: .problem, says: ["/srv/app.db-wal belongs to user 0", "chown 1000"]) {
      $0.sideFiles = [ExaminationFacts.Place(path: "/srv/app.db-wal")]
    },
    Case(name: "journal mode", level: .warning, says: ["cannot write for as long as", "journal_mode=WAL"]) {
      $0.journalMode = "delete"
    },
    Case(name: "backup folder", level: .note, says: ["does not exist yet"]) { $0.repository.exists = false },
    Case(name: "backup folder", level: .problem, says: ["may not write /backups", "--backup-dir"]) {
      $0.repository.isWritable = false
    },
    Case(name: "privacy", level: .warning, says: ["users other than its owner", "chmod 700 /backups"]) {
      $0.repository.permissions = 0o770
    },
    Case(name: "disk", level: .warning, says: ["same file system", "another disk"]) { $0.repository.device = 1 },
    Case(name: "free space", level: .warning, says: ["1.5 MiB are left", "cleanup"]) { $0.repository.free = 3 << 19 },
    Case(name: "free space", level: .note, says: ["unknown", "min_free_space"]) { $0.repository.free = nil },
    Case(name: "time stamps", level: .note, says: ["compare all pages"]) { $0.database.hasFineStamps = false },
    Case(name: "folder flush", level: .warning, says: ["/backups cannot flush a folder", "--backup-dir"]) {
      $0.repository.flushesFolders = false
    },
    Case(name: "free space", level: .problem, says: ["1 KiB are left", "cleanup"]) { $0.repository.free = 1024 },
    Case(name: "file system", level: .problem, says: ["is on nfs", "local disk"]) {
      $0.databaseFolder.networkFileSystem = "nfs"
    },
    Case(name: "file system", level: .note, says: ["the backups are on cifs"]) {
      $0.repository.networkFileSystem = "cifs"
    },
    Case(name: "key", level: .problem, says: ["does not open: no slot fits", "that it was stored with"]) {
      $0.key = .fails(try point(), .wrongKey, "no slot fits")
    },
    Case(name: "key", level: .problem, says: ["neither a password nor a key", "holdfast init"]) {
      $0.key = .unproved(given: false)
    },
    Case(name: "key", level: .warning, says: ["not encrypted", "encryption_enabled"]) {
      ($0.key, $0.encrypts) = (.unproved(given: false), false)
    },
    Case(name: "inotify", level: .problem, says: ["limit is reached", "sysctl"]) {
      $0.watchFailed = "cannot watch /srv: the limit is reached"
    },
    Case(name: "inotify", level: .warning, says: ["max_user_watches 512", "sysctl"]) { $0.watchLimit = 512 },
    Case(name: "open files", level: .warning, says: ["at most 256", "LimitNOFILE"]) { $0.openFileLimit = 256 },
    Case(name: "threads", level: .ok, says: ["12 can be started"]) { $0.threads = .init(needed: 12) },
    Case(name: "threads", level: .problem, says: ["has 3 left", "ulimit -u"]) {
      $0.threads = .init(needed: 12, shortage: "the system has 3 left", advice: "raise it: ulimit -u")
    },
    Case(name: "open files", level: .problem, says: ["at most 20, too few", "LimitNOFILE"]) { $0.openFileLimit = 20 },
    Case(name: "open files", level: .ok, says: ["at most 4096"]) { $0.openFileLimit = 4096 },
    Case(name: "SQLite", level: .warning, says: ["WAL-reset bug", "3.51.3"]) { $0.sqliteVersion = "3.40.1" },
    Case(name: "SQLite", level: .note, says: ["WAL-reset bug"]) {
      ($0.sqliteVersion, $0.journalMode) = ("3.40.1", "delete")
    },
    Case(name: "SQLite", level: .problem, says: ["3.8.2 cannot read", "3.22.0"]) { $0.sqliteVersion = "3.8.2" },
    Case(name: "clock", level: .problem, says: ["the newest backup is from 2026-11-23T02", "set the clock"]) {
      $0.newestPoint = $0.time.adding(seconds: 3600)
    },
    Case(name: "clock", level: .warning, says: ["it jumped", "--trust-clock"]) { $0.clockDoubt = "it jumped" },
    Case(name: "clock", level: .note, says: ["boot_id"]) { $0.namesMachineStart = false },
    Case(name: "file size", level: .problem, says: ["may grow beyond 1", "ulimit -f"]) { $0.fileSizeLimit = 1024 },
    Case(name: "file size", level: .note, says: ["LimitFSIZE="]) { $0.fileSizeLimit = 1 << 40 },
    Case(name: "clock", level: .note, says: ["time server"]) { $0.clockIsKept = false },
    Case(name: "container", level: .note, says: ["in a container"]) { $0.isContainer = true },
    Case(name: "agent", level: .ok, says: ["running: process 12 on host"]) { $0.agent = "process 12 on host" },
  ]

  @Test(arguments: cases) func whatBitesIsFoundWithAdvice(_ bite: Case) throws {
    var facts = try Self.healthy()
    try bite.change(&facts)
    let found = Diagnosis.findings(facts).filter { $0.name == bite.name }
    #expect(found.count == 1)
    #expect(found.first?.level == bite.level)
    let told: String = (found.first?.detail ?? "") + " " + (found.first?.advice ?? "")
    for words in bite.says { #expect(told.contains(words), "\(found)") }
    if bite.level == .warning || bite.level == .problem { #expect(found.first?.advice != nil) }
  }

  @Test func theWALResetBugIsInTheVersionsThatHaveIt() throws {
    for text in ["3.7.0", "3.40.1", "3.44.5", "3.45.0", "3.50.6", "3.51.2"] {
      #expect(try #require(SQLiteVersion(text)).hasWALResetBug, "\(text)")
    }
    for text in ["3.6.23", "3.44.6", "3.44.9", "3.50.7", "3.51.3", "3.52.0", "4.0.0"] {
      #expect(try #require(SQLiteVersion(text)).hasWALResetBug == false, "\(text)")
    }
    #expect(SQLiteVersion("3.40") == nil && SQLiteVersion("3.x.1") == nil)
  }
}
