import BackupPolicy
import CShims
import Glibc
import SQLitePages

/// Gathers the facts that `doctor` judges. Changes nothing.
package struct Examination {
  private let service: BackupService
  private let database: String
  private let encrypts: Bool
  private let drillAge: Int64?

  /// - Parameters:
  ///   - encrypts: whether new points are encrypted.
  ///   - drillAge: seconds after which a drill counts no more; nil: never.
  /// - Throws: `usage` where no database is named.
  package init(_ service: BackupService, encrypts: Bool, drillAge: Int64? = nil) throws {
    self.service = service
    self.encrypts = encrypts
    self.drillAge = drillAge
    database = try service.requireDatabase().resolvingLinks
  }

  package func facts() -> ExaminationFacts {
    let folder = Surroundings.place(database.parentPath)
    var facts = ExaminationFacts(
      database: Surroundings.place(database), databaseFolder: folder, repository: repositoryPlace(), user: geteuid(),
      time: service.environment.now(), sqliteVersion: DatabaseConnection.libraryVersion)
    facts.sideFiles = ["-wal", "-shm"].map { Surroundings.place(database + $0) }.filter(\.exists)
    if facts.database.isReadable { open(&facts) }
    facts.otherNames = HardLinks(of: database).map { ($0.count - 1, $0.beside) }.map(ExaminationFacts.OtherNames.init)
    facts.encrypts = encrypts
    facts.lockedFiles = Surroundings.lockedFiles(in: service.folder)
    lookAtPoints(&facts)
    facts.clockDoubt = service.clockDoubt()
    facts.clockIsKept = Surroundings.clockIsKept
    facts.openFileLimit = OpenFileLimit.highest
    facts.watchLimit = Surroundings.number("/proc/sys/fs/inotify/max_user_watches")
    facts.instanceLimit = Surroundings.number("/proc/sys/fs/inotify/max_user_instances")
    facts.watchFailed = Surroundings.watchFailure(database.parentPath)
    facts.isContainer = Surroundings.isContainer
    facts.agent = agent()
    let standing = (try? service.drillFigures())?.standing
    (facts.drills, facts.drillAge) = (standing?.oldestPoint == nil ? nil : standing, drillAge)
    return facts
  }

  /// Where the folder is not there yet, what counts of it are its disk and its parent.
  private func repositoryPlace() -> ExaminationFacts.Place {
    var place = Surroundings.place(service.folder)
    guard !place.exists else { return place }
    var parent = service.folder.parentPath
    while parent != "/", parent != ".", (try? service.environment.files.status(parent)).flatMap({ $0 }) == nil {
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
        path: database, access: .observer, busyTimeout: service.environment.busyTimeout)
      defer { connection.close() }
      facts.journalMode = try connection.journalMode()
      facts.schemaProblem = connection.schemaProblem?.words
    } catch {
      facts.openingFailed = (error as? DatabaseError)?.message ?? "\(error)"
      facts.openingAdvice = (error as? DatabaseError).flatMap { HoldfastError($0).hint }
    }
  }

  private func lookAtPoints(_ facts: inout ExaminationFacts) {
    facts.key = .unproved(given: !service.credentials.isEmpty)
    let points: [StoredPoint]
    do {
      points = try service.list()
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
      try service.requireKey(to: newest)
      facts.key = .opens(newest.id)
    } catch {
      let error = error as? HoldfastError ?? HoldfastError(.failed, "\(error)")
      facts.key = .fails(newest.id, error.code, error.message)
    }
  }

  /// The process that holds the agent's lock, as it wrote itself there.
  private func agent() -> String? {
    let path = "\(service.folder)/.state/agent.lock"
    let files = service.environment.files
    guard let file = try? files.open(path, .readNoFollow) else { return nil }
    defer { files.close(file) }
    guard let isFree = try? files.lock(file, exclusive: false, wait: false), !isFree else { return nil }
    let record = (try? files.contents(path, limit: 4096)).flatMap { $0 } ?? []
    return AgentLockHolder(record: record)?.description ?? "process unknown"
  }
}
