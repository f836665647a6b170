import BackupEngine
import BackupPolicy
import Logging

extension EventLoop {
  /// Has the configuration read again, by a worker: reading files may block.
  func requestReload() {
    guard !isStopping else { return }
    guard let reload = parts.reload else {
      return logger.notice("there is no configuration to read again")
    }
    // What was written since the reading began may not be in it: one more starts when this one has ended.
    guard !isReloading else {
      isReloadOwed = true
      return
    }
    (isReloading, isReloadOwed) = (true, false)
    announcements.reloading()
    shared.workers.submit(nil) { .reloaded(Result { try reload() }) }
  }

  func finishReload(_ result: Result<AgentConfiguration, any Error>) {
    isReloading = false
    defer {
      announcements.reloaded()
      if isReloadOwed { requestReload() }
    }
    guard !isStopping else { return }
    do {
      try apply(try result.get())
      logger.notice("the configuration was read again")
    } catch {
      logger.error("the configuration stays as it was: \(error)")
    }
  }

  /// Takes databases up, drops them and changes their settings. All or nothing: whatever can fail comes first.
  private func apply(_ configuration: AgentConfiguration) throws {
    try configuration.validate()
    let wanted = Dictionary(uniqueKeysWithValues: configuration.databases.map { ($0.identity, $0) })
    let known = Dictionary(uniqueKeysWithValues: guards.map { ($0.database.identity, $0) })
    if let leaver = guards.first(where: { $0.isStopping && wanted[$0.database.identity] != nil }) {
      throw HoldfastError(
        .busy, "\(leaver.database.name) was dropped, and its last backup is not done yet",
        hint: "reload again when it is")
    }
    let old = guards
    divideDescriptors(among: configuration.databases.count)
    try add(configuration.databases.filter { known[$0.identity] == nil }, isAlone: configuration.isAlone)
    stopGrace = configuration.stopGrace
    watchPatterns(configuration.patterns)
    for database in old {
      if let settings = wanted[database.database.identity] {
        database.update(settings)
      } else {
        logger.notice("\(database.database.name) is no longer guarded")
        database.stop()
      }
    }
    guards.filter { new in !old.contains { $0 === new } }.forEach { $0.start() }
  }

  func divideDescriptors(among databases: Int) {
    let budget = DescriptorBudget.take(databases: databases, workers: WorkerPool.backupLimit)
    guard budget != shared.descriptors else { return }
    shared.descriptors = budget
    budget.logConcession(logger)
    for database in guards { database.lock.isKept = budget.keepsLocks }
  }

  /// Makes the guards of databases, which are not started yet.
  ///
  /// - Parameter isAlone: whether log lines need not say which database they are about.
  /// - Throws: `busy` where another agent has one of the repositories; then none is taken up.
  func add(_ databases: [GuardedDatabase], isAlone: Bool) throws {
    let locks = try databases.map { database in
      let lock = AgentLock(database.service)
      lock.isKept = shared.descriptors.keepsLocks
      defer { lock.rest() }
      do {
        try lock.ensure()
      } catch let error as HoldfastError where error.code == .busy {
        throw error
      } catch {
        // A folder that cannot be written now may be written later; the first backup says what is wrong with it.
        logger.debug("the backup folder is not locked: \(error)")
      }
      return lock
    }
    for (database, lock) in zip(databases, locks) {
      lastNumber += 1
      let logger = isAlone ? logger : logger.prefixed("\(database.name): ")
      guards.append(DatabaseCoordinator(DatabaseID(number: lastNumber), database, lock, shared, logger))
    }
  }

  /// Lets databases go that were dropped and have nothing running any more.
  func dropLeavers() {
    guard !isStopping else { return }
    for database in guards where database.isDone { database.end() }
    guards.removeAll(where: \.isDone)
  }
}

extension AgentConfiguration {
  /// There is one database, and there will be no other.
  var isAlone: Bool { databases.count == 1 && patterns == nil }
}

extension Logger {
  /// The same logger with something before each message.
  func prefixed(_ prefix: String) -> Logger {
    Logger(label: label) { [handler] _ in PrefixingHandler(base: handler, prefix: prefix) }
  }
}

/// Says which database a line is about, where there are several.
private struct PrefixingHandler: LogHandler {
  var base: any LogHandler
  let prefix: String

  var metadata: Logger.Metadata {
    get { base.metadata }
    set { base.metadata = newValue }
  }

  var logLevel: Logger.Level {
    get { base.logLevel }
    set { base.logLevel = newValue }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { base[metadataKey: key] }
    set { base[metadataKey: key] = newValue }
  }

  func log(event: LogEvent) {
    var event = event
    event.message = "\(prefix)\(event.message)"
    base.log(event: event)
  }
}
