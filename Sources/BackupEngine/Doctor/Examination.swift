import BackupPolicy
import CShims
import Glibc
import Names
import SQLitePages

/// Gathers the facts that `doctor` judges. Changes nothing.
package struct Examination {
  private let engine: Engine
  private let database: String
  private let encrypts: Bool
  private let drillAge: Int64?

  /// - Parameters:
  ///   - encrypts: whether new backups are encrypted.
  ///   - drillAge: seconds after which a drill no longer counts; nil: never.
  /// - Throws: `usage` if no database is named.
  package init(_ engine: Engine, encrypts: Bool, drillAge: Int64? = nil) throws {
    self.engine = engine
    self.encrypts = encrypts
    self.drillAge = drillAge
    database = try engine.requireDatabase().resolvingLinks
  }

  package func facts() -> ExaminationFacts {
    let folder = Surroundings.place(database.parentPath)
    var facts = ExaminationFacts(
      database: Surroundings.place(database), databaseFolder: folder, repository: repositoryPlace(), user: geteuid(),
      time: engine.environment.now(), sqliteVersion: DatabaseConnection.libraryVersion)
    facts.sideFiles = ["-wal", "-shm"].map { Surroundings.place(database + $0) }.filter(\.exists)
    if facts.database.isReadable { open(&facts) }
    facts.otherNames = HardLinks(of: database).map { ($0.count - 1, $0.beside) }.map(ExaminationFacts.OtherNames.init)
    facts.encrypts = encrypts
    facts.lockedFiles = Surroundings.lockedFiles(in: engine.folder)
    facts.strangeEntries = StrangeEntries(repository: engine.folder, files: engine.environment.files).find()
    examineBackups(&facts)
    facts.clockDoubt = engine.clockDoubt()
    facts.clockIsKept = Surroundings.clockIsKept
    facts.namesMachineStart = ProcFile.bootID != nil
    facts.fileSizeLimit = OpenFileLimit.fileSize
    facts.openFileLimit = OpenFileLimit.highest
    facts.threads = threads()
    facts.watchLimit = ProcFile.line("/proc/sys/fs/inotify/max_user_watches").flatMap { Int64($0) }
    facts.instanceLimit = ProcFile.line("/proc/sys/fs/inotify/max_user_instances").flatMap { Int64($0) }
    facts.watchFailed = Surroundings.watchFailure(database.parentPath)
    facts.isContainer = Surroundings.isContainer
    facts.agent = agent()
    let summary = (try? engine.drillFigures())?.summary
    (facts.drills, facts.drillAge) = (summary?.oldestPoint == nil ? nil : summary, drillAge)
    return facts
  }

  private func threads() -> ExaminationFacts.Threads {
    do {
      try ThreadSupply.require()
      return ExaminationFacts.Threads(needed: ThreadSupply.needed)
    } catch {
      let known = error as? HoldfastError
      return ExaminationFacts.Threads(
        needed: ThreadSupply.needed, shortage: known?.message ?? "\(error)", advice: known?.hint)
    }
  }

  /// If the folder does not exist yet, the disk and the nearest existing parent count instead.
  private func repositoryPlace() -> ExaminationFacts.Place {
    var place = Surroundings.place(engine.folder)
    guard !place.exists else { return place }
    var parent = engine.folder.parentPath
    while parent != "/", parent != ".", (try? engine.environment.files.status(parent)).flatMap({ $0 }) == nil {
      parent = parent.parentPath
    }
    let nearest = Surroundings.place(parent)
    (place.device, place.free, place.networkFileSystem) = (nearest.device, nearest.free, nearest.networkFileSystem)
    place.flushesFolders = nearest.flushesFolders
    return place
  }

  private func open(_ facts: inout ExaminationFacts) {
    do {
      let connection = try DatabaseConnection(
        path: database, access: .observer, busyTimeout: engine.environment.busyTimeout)
      defer { connection.close() }
      facts.journalMode = try connection.journalMode()
      facts.schemaProblem = connection.schemaProblem?.words
    } catch {
      facts.openingFailed = (error as? DatabaseError)?.message ?? "\(error)"
      facts.openingAdvice = (error as? DatabaseError).flatMap { HoldfastError($0).hint }
    }
  }

  private func examineBackups(_ facts: inout ExaminationFacts) {
    facts.key = .unproved(given: !engine.credentials.isEmpty)
    let points: [StoredPoint]
    do {
      points = try engine.list()
    } catch {
      if let error = error as? HoldfastError, error.code == .refused { facts.repositoryRefused = error }
      return
    }
    facts.newestPoint = points.map(\.metadata.created).max()
    if let newest = points.first(where: { $0.obstacle == nil }), let findings = newest.metadata.findingsInWords {
      facts.newestFlaw = .init(point: newest.id, findings: findings)
    }
    let failed = points.filter { $0.metadata.status == .failed }
    facts.failedPoints = failed.first.map { newest in
      let reasons = newest.problems + newest.metadata.verificationErrors
      return ExaminationFacts.FailedPoints(
        count: failed.count, newest: newest.id, reason: reasons.first ?? "it failed its verification")
    }
    guard let newest = points.first(where: { $0.metadata.encrypted && !$0.archiveMissing }) else { return }
    do {
      try engine.requireKey(to: newest)
      facts.key = .opens(newest.id)
    } catch {
      let error = error as? HoldfastError ?? HoldfastError(.failed, "\(error)")
      facts.key = .fails(newest.id, error.code, error.message)
    }
  }

  /// The process that holds the agent's lock, according to its record in the lock file.
  private func agent() -> String? {
    let path = "\(engine.folder)/.state/agent.lock"
    let files = engine.environment.files
    guard let file = try? files.open(path, .readNoFollow) else { return nil }
    defer {
      file.unlock()
      files.close(file)
    }
    guard let isFree = try? files.lock(file, exclusive: false, wait: false), !isFree else { return nil }
    let record = (try? files.contents(path, limit: 4096)).flatMap { $0 } ?? []
    return AgentLockHolder(record: record)?.description ?? "process unknown"
  }
}

/// The kernel's information about this machine and about places on it.
enum Surroundings {
  static func place(_ path: String) -> ExaminationFacts.Place {
    var place = ExaminationFacts.Place(path: path)
    if let status = (try? SystemFileOperations().status(path)).flatMap({ $0 }) {
      place.exists = true
      (place.owner, place.permissions, place.size) = (status.owner, status.permissions, status.size)
      place.device = status.device
    }
    // With the permissions that opening would have.
    place.isReadable = faccessat(AT_FDCWD, path.raw, R_OK, AT_EACCESS) == 0
    place.isWritable = faccessat(AT_FDCWD, path.raw, W_OK, AT_EACCESS) == 0
    place.networkFileSystem = networkNames[cshims_file_system_type(path.raw)]
    let files = SystemFileOperations()
    if let capacity = try? files.capacity(path), capacity > 0 { place.free = try? files.freeSpace(path) }
    place.hasFineStamps = SQLitePages.FileFacts(path: path)?.hasFineStamps
    place.flushesFolders = place.exists ? FolderFlush.isSupported(path) : nil
    return place
  }

  /// The files of a repository that its owner cannot read; nil if there are no such files.
  static func lockedFiles(in repository: String) -> ExaminationFacts.LockedFiles? {
    let files = SystemFileOperations()
    guard let folder = (try? files.status(repository)).flatMap({ $0 }) else { return nil }
    var found: ExaminationFacts.LockedFiles?
    for place in [repository, "\(repository)/.metadata", "\(repository)/.state"] {
      for name in ((try? files.list(place)) ?? []).sorted() {
        let path = "\(place)/\(name)"
        guard let status = (try? files.status(path)).flatMap({ $0 }), status.owner != folder.owner,
          status.permissions & 0o004 == 0, status.group != folder.group || status.permissions & 0o040 == 0
        else { continue }
        found = .init(count: (found?.count ?? 0) + 1, path: found?.path ?? path, owner: found?.owner ?? status.owner)
      }
    }
    return found
  }

  /// `f_type` of statfs(2) for file systems that other machines, or programs in between, may write
  /// to.
  private static let networkNames: [UInt32: String] = [
    0x6969: "nfs", 0x517b: "smb", 0xff53_4d42: "cifs", 0xfe53_4d42: "smb", 0x6573_5546: "fuse", 0x0102_1997: "9p",
    0x5346_414f: "afs", 0x7375_7245: "coda", 0x0bd0_0bd0: "lustre", 0x00c3_6400: "ceph", 0x0116_1970: "gfs2",
    0x7461_636f: "ocfs2",
  ]

  /// Whether the kernel's clock is kept by a time server; nil where it may not be asked.
  static var clockIsKept: Bool? {
    let kept = cshims_clock_is_kept()
    return kept < 0 ? nil : kept == 1
  }

  /// Tries to watch the folder as the agent does; returns nil if that works.
  static func watchFailure(_ folder: String) -> String? {
    let descriptor = cshims_inotify()
    guard descriptor >= 0 else { return HoldfastError(errno: errno, "create an inotify instance for", folder).message }
    defer { close(descriptor) }
    guard inotify_add_watch(descriptor, folder.raw, UInt32(IN_MODIFY)) >= 0 else {
      return HoldfastError(errno: errno, "watch", folder).message
    }
    return nil
  }

  /// Detects the marks that Docker and Podman leave, and the variable that both and systemd-nspawn
  /// set.
  static var isContainer: Bool {
    access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0 || getenv("container") != nil
  }
}
