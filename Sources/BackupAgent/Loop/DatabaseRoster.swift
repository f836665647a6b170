import BackupEngine
import BackupPolicy
import Logging

/// The databases that the agent guards, and those that begin later. Belongs to the event loop's
/// thread.
///
/// A repository has one database at a time, because each holds the agent's lock of its repository.
final class DatabaseRoster {
  private(set) var coordinators: [DatabaseCoordinator] = []
  /// Databases that begin as soon as the one before them in their repository has ended.
  private var successors: [AgentDatabase] = []
  /// When to try again to begin them, and the problem that was logged.
  private var successorRetry: (time: Int64, problem: String)?
  private var lastNumber = 0
  private let shared: LoopContext
  private let logger: Logger

  init(_ shared: LoopContext, _ logger: Logger) {
    (self.shared, self.logger) = (shared, logger)
  }

  /// When to try again to begin databases, in monotonic milliseconds.
  var deadline: Int64? { successorRetry?.time }

  func find(_ id: DatabaseID) -> DatabaseCoordinator? { coordinators.first { $0.id == id } }

  /// Creates the coordinators of databases, without starting them.
  ///
  /// - Parameter isAlone: there is only one database, so log lines need not name it.
  /// - Throws: `busy` if another agent has one of the repositories; then no database is added.
  func add(_ databases: [AgentDatabase], isAlone: Bool) throws {
    let locks = try databases.map(lock)
    for (database, lock) in zip(databases, locks) {
      lastNumber += 1
      let logger = logger.about(database.name, isAlone: isAlone)
      coordinators.append(DatabaseCoordinator(DatabaseID(number: lastNumber), database, lock, shared, logger))
      shared.alarmChanges += 1
    }
  }

  private func lock(_ database: AgentDatabase) throws -> AgentLock {
    let lock = AgentLock(database.engine, socket: shared.socketPath)
    lock.isKept = shared.descriptors.keepsLocks
    defer { lock.rest() }
    do {
      try lock.ensure()
    } catch let error as HoldfastError where error.code == .busy {
      throw error
    } catch {
      // A folder that cannot be written now may be writable later. The first backup reports the
      // problem.
      logger.debug("the backup folder is not locked: \(error)")
    }
    return lock
  }

  private func divideDescriptors(among databases: [AgentDatabase]) {
    let budget = DescriptorBudget.allocate(for: databases, workers: WorkerPool.backupLimit)
    guard budget != shared.descriptors else { return }
    shared.descriptors = budget
    shared.workers.raise(to: budget.workers)
    shared.targetThreads.raise(to: budget.targetRuns)
    budget.logConcession(logger)
    for database in coordinators { database.parts.lock.isKept = budget.keepsLocks }
  }
}

// MARK: - The end

extension DatabaseRoster {
  /// Tries the failed last backup of one database again. One at a time, because the others may have
  /// used up the descriptors or the memory that it needs.
  ///
  /// - Returns: whether one has begun.
  func retryLastBackup() -> Bool { coordinators.contains { $0.retryLastBackup() } }
}

// MARK: - A new configuration

extension DatabaseRoster {
  /// Creates the coordinators of the databases that are new in a configuration. A new database in
  /// the repository of a removed one waits until that has ended and released the agent's lock.
  ///
  /// - Returns: the new coordinators.
  /// - Throws: `busy` if a removed database that is wanted again is still running, or if another
  ///   agent has one of the repositories; then no database is added.
  func addNew(among databases: [AgentDatabase], isAlone: Bool) throws -> [DatabaseCoordinator] {
    let wanted = Set(databases.map(\.identity))
    let known = Set(coordinators.map(\.database.identity))
    if let leaver = coordinators.first(where: { $0.isStopping && wanted.contains($0.database.identity) }) {
      throw HoldfastError(
        .busy, "\(leaver.database.name) was removed, and its last backup is still running",
        hint: "reload again when it has finished")
    }
    let old = coordinators
    divideDescriptors(among: databases)
    let new = databases.filter { !known.contains($0.identity) }
    try add(new.filter { !isRepositoryInUse(of: $0) }, isAlone: isAlone)
    successors = new.filter { isRepositoryInUse(of: $0, by: old) }
    return Array(coordinators.dropFirst(old.count))
  }

  /// Gives the databases their settings from now on, and stops those that the configuration no
  /// longer names.
  ///
  /// - Parameter new: the coordinators that were added for this configuration.
  func update(to databases: [AgentDatabase], starting new: [DatabaseCoordinator]) {
    let wanted = Dictionary(uniqueKeysWithValues: databases.map { ($0.identity, $0) })
    for coordinator in coordinators.dropLast(new.count) {
      if let settings = wanted[coordinator.database.identity] {
        coordinator.update(settings)
      } else {
        logger.notice("\(coordinator.database.name) is no longer watched")
        coordinator.stop()
      }
    }
    new.forEach { $0.start() }
  }

  private func isRepositoryInUse(of database: AgentDatabase, by others: [DatabaseCoordinator]? = nil) -> Bool {
    (others ?? coordinators).contains { $0.database.identity.folder == database.identity.folder }
  }

  /// Releases the databases that were removed and have nothing running any more.
  func dropDone() {
    // Their alarms end with them.
    for database in coordinators where database.isDone {
      database.end()
      shared.alarmChanges += 1
    }
    coordinators.removeAll(where: \.isDone)
  }

  /// Begins the databases whose repositories are free now.
  ///
  /// - Parameter hasPatterns: more databases may be added, so log lines name the database.
  func beginSuccessors(hasPatterns: Bool) {
    guard successorRetry.map({ $0.time <= shared.clock.monotonic }) ?? true else { return }
    let ready = successors.filter { !isRepositoryInUse(of: $0) }
    guard !ready.isEmpty else { return successorRetry = nil }
    successors.removeAll { next in ready.contains { $0.identity == next.identity } }
    for database in ready {
      do {
        try add([database], isAlone: coordinators.isEmpty && successors.isEmpty && !hasPatterns)
        coordinators.last?.start()
      } catch {
        // Another process may look at the lock at this moment.
        let problem = "\(database.name) is not backed up yet: \(error)"
        if successorRetry?.problem != problem { logger.error("\(problem)") }
        successorRetry = (shared.clock.monotonic + 1000, problem)
        successors.append(database)
      }
    }
  }
}

// MARK: - Databases that match a pattern

extension DatabaseRoster {
  /// Stops the databases that no longer match and whose files are gone. The others stay watched, and
  /// are reported missing for as long as they have backups.
  func stopGone(besides databases: [AgentDatabase]) {
    let wanted = Set(databases.map(\.identity))
    for database in coordinators where !database.isStopping && !wanted.contains(database.database.identity) {
      guard isGone(database) else { continue }
      logger.warning(
        "\(database.database.name) is no longer watched: its file is gone, and this host knows no backups of it")
      database.stop()
    }
  }

  /// A file whose status cannot be read does not count as gone.
  private func isGone(_ database: DatabaseCoordinator) -> Bool {
    do {
      return try database.database.engine.environment.files.status(database.path) == nil
    } catch {
      return false
    }
  }

  func unknown(among databases: [AgentDatabase]) -> [AgentDatabase] {
    let known = Set(coordinators.map(\.database.identity) + successors.map(\.identity))
    return databases.filter { !known.contains($0.identity) }
  }

  /// Adds and starts a database that a pattern matches.
  ///
  /// - Throws: `usage` if another database has its name, its file or its backup folder; also the
  ///   errors of ``add(_:isAlone:)``.
  func addFound(_ database: AgentDatabase) throws {
    try requireNoConflict(database)
    try database.requireEssentials()
    divideDescriptors(among: coordinators.map(\.database) + [database])
    try add([database], isAlone: false)
    coordinators.last?.start()
  }

  private func requireNoConflict(_ database: AgentDatabase) throws {
    if let other = coordinators.first(where: { $0.database.name.isExactly(database.name) }) {
      throw HoldfastError(
        .usage, "\(other.database.engine.database ?? "another database") already has its name",
        hint: "give one of the two its own name in a [[databases]] table")
    }
    let path = WatchedPath(database.engine.database ?? "").resolved
    if let other = coordinators.first(where: { $0.path.isExactly(path) }) {
      throw HoldfastError(
        .usage, "it is the same file as \(other.database.engine.database ?? other.database.name)",
        hint: "remove one of the two links")
    }
    if let other = coordinators.first(where: { $0.database.identity.folder == database.identity.folder }) {
      throw HoldfastError(
        .usage, "\(other.database.name) already has its backup folder", hint: "give it its own backup folder")
    }
  }
}
