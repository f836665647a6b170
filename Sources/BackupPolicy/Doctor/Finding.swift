/// One thing that `doctor` examined.
package struct Finding: Hashable, Sendable {
  package enum Level: String, Hashable, Sendable, CaseIterable {
    case ok
    /// Worth knowing; requires no action.
    case note
    /// It works now, and may not always.
    case warning
    /// Backups or restores fail, or will.
    case problem
  }

  /// The examined thing, in a word or two: `journal mode`.
  package var name: String
  package var level: Level
  /// The result of the examination.
  package var detail: String
  /// The advice; every warning and every problem has one.
  package var advice: String?

  package init(_ name: String, _ level: Level, _ detail: String, advice: String? = nil) {
    self.name = name
    self.level = level
    self.detail = detail
    self.advice = advice
  }
}

/// Everything that `doctor` finds out before its probe. Nil and empty mean: absent or unknown.
package struct ExaminationFacts: Sendable {
  /// A file or folder as this process sees it.
  package struct Place: Hashable, Sendable {
    package var path: String
    package var exists = false
    package var isReadable = false
    package var isWritable = false
    package var owner: UInt32 = 0
    /// Permission bits.
    package var permissions: UInt32 = 0
    /// Bytes.
    package var size: Int64 = 0
    /// Number of the file system.
    package var device: UInt64 = 0
    /// The kernel's name for the kind of file system, if it is one of those that matter: `nfs`,
    /// `cifs`, `fuse`, …
    package var networkFileSystem: String?
    /// Bytes that may still be written there.
    package var free: Int64?
    /// Whether its time stamps can prove that it was not written.
    package var hasFineStamps: Bool?
    /// Whether the file system can flush a folder's entries.
    package var flushesFolders: Bool?

    package init(path: String) {
      self.path = path
    }
  }

  /// Further names of one file.
  package struct OtherNames: Hashable, Sendable {
    package var count: Int
    /// The names in the database's folder.
    package var found: [String]

    package init(count: Int, found: [String]) {
      self.count = count
      self.found = found
    }
  }

  /// Whether the threads of an agent can be started.
  package struct Threads: Hashable, Sendable {
    package var needed: Int
    /// Why not; nil if they can.
    package var shortage: String?
    package var advice: String?

    package init(needed: Int, shortage: String? = nil, advice: String? = nil) {
      (self.needed, self.shortage, self.advice) = (needed, shortage, advice)
    }
  }

  package struct Flaw: Hashable, Sendable {
    package var point: PointID
    /// In SQLite's words, in one line.
    package var findings: String

    package init(point: PointID, findings: String) {
      self.point = point
      self.findings = findings
    }
  }

  /// An entry of a repository that is not what Holdfast makes under its name.
  package struct StrangeEntry: Hashable, Sendable {
    package var path: String
    /// With its article: `a named pipe`.
    package var kind: String
    package var expected: String

    package init(path: String, kind: String, expected: String) {
      (self.path, self.kind, self.expected) = (path, kind, expected)
    }
  }

  /// Files that belong to another user than their folder, and that the folder's owner cannot read.
  package struct LockedFiles: Hashable, Sendable {
    package var count: Int
    /// One of them, and its owner.
    package var path: String
    package var owner: UInt32

    package init(count: Int, path: String, owner: UInt32) {
      self.count = count
      self.path = path
      self.owner = owner
    }
  }

  package enum Key: Hashable, Sendable {
    /// No backup is encrypted yet; `given` says whether a password or key is configured.
    case unproved(given: Bool)
    case opens(PointID)
    case fails(PointID, HoldfastError.Code, String)
  }

  package var database: Place
  package var databaseFolder: Place
  /// `-wal` and `-shm`, if they exist.
  package var sideFiles: [Place] = []
  package var repository: Place
  /// Files in the repository that its owner cannot read.
  package var lockedFiles: LockedFiles?
  package var strangeEntries: [StrangeEntry] = []
  /// The reason why the repository must not be used: it is away, or belongs to another database.
  package var repositoryRefused: HoldfastError?
  package var user: UInt32
  /// `wal`, `delete`, …; nil if the database does not open.
  package var journalMode: String?
  /// The reason why the database does not open.
  package var openingFailed: String?
  /// The advice about it.
  package var openingAdvice: String?
  /// Hard links to the database; nil if it has only one name.
  package var otherNames: OtherNames?
  /// The reason why this SQLite cannot read the database's schema, if it cannot.
  package var schemaProblem: String?
  /// The newest backup of the database's own history, if SQLite's checks found a flaw in the
  /// database in it.
  package var newestFlaw: Flaw?
  package var key: Key = .unproved(given: false)
  /// Whether new points are encrypted.
  package var encrypts = true
  /// The newest point's time.
  package var newestPoint: Timestamp?
  /// The number of backups that cannot be restored as far as a listing shows, and the newest of
  /// them with the reason.
  package var failedPoints: FailedPoints?

  package struct FailedPoints: Hashable, Sendable {
    package var count: Int
    package var newest: PointID
    package var reason: String

    package init(count: Int, newest: PointID, reason: String) {
      (self.count, self.newest, self.reason) = (count, newest, reason)
    }
  }
  /// The state of the drills by their history; nil if there is nothing to drill.
  package var drills: DrillSummary?
  /// Seconds after which a drill no longer counts; nil: never.
  package var drillAge: Int64?
  package var time: Timestamp
  /// Whether a time server keeps the clock, according to the kernel; nil if the kernel does not
  /// say.
  package var clockIsKept: Bool?
  /// The reason why ages are not counted by the clock at the moment; nil if they are.
  package var clockDoubt: String?
  /// Of the library that this process runs with.
  package var sqliteVersion: String
  /// The hard limit of open files, up to which the agent raises its own.
  package var openFileLimit: Int?
  /// Nil if it was not tried.
  package var threads: Threads?
  /// Bytes that a file of this process may have; nil if there is no limit.
  package var fileSizeLimit: Int64?
  /// Whether the kernel names this start of the machine.
  package var namesMachineStart = true
  package var watchLimit: Int64?
  package var instanceLimit: Int64?
  /// The reason why a watch on the database's folder could not be set up.
  package var watchFailed: String?
  package var isContainer = false
  /// The holder of the agent's lock: `process 123 on host`.
  package var agent: String?

  package init(
    database: Place, databaseFolder: Place, repository: Place, user: UInt32, time: Timestamp, sqliteVersion: String
  ) {
    self.database = database
    self.databaseFolder = databaseFolder
    self.repository = repository
    self.user = user
    self.time = time
    self.sqliteVersion = sqliteVersion
  }
}
