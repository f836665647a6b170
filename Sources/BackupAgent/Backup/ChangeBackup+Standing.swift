import BackupEngine
import BackupPolicy
import Logging
import Names

/// Whether the last point holds the database as it is.
extension ChangeBackup {
  /// How the database stands to the last point.
  enum Standing {
    case unchanged(PointID)
    case changed(DatabaseState)
    case absent(HoldfastError)
  }

  /// Compares the database with what is remembered and, where that says nothing for certain, its pages with those of a point.
  mutating func standing(_ progress: Progress = Progress(), _ point: StoredPoint? = nil) throws -> Standing {
    let (memory, lastState) = (memory, lastState)
    let sighting = try sight { state, snapshot in
      if let memory, covers(memory, state) { return nil }
      guard let point, !(lastState.map { state.isCommitAfter($0) } ?? false) else { return nil }
      return try service.holds(point, contentOf: snapshot, progress: progress)
    }
    guard case .state(let state) = sighting else { return .absent(try absence(sighting)) }
    if let memory, covers(memory, state) {
      self.lastState = state
      return .unchanged(memory.point)
    }
    guard state.matchesPoint, let point else { return .changed(state) }
    remember(point.id, point.name.text, state)
    return .unchanged(point.id)
  }

  /// What to say where there is nothing to back up.
  func absence(_ sighting: Sighting) throws -> HoldfastError {
    let database = try service.requireDatabase()
    return sighting.isMissing ? Self.missing(database, service.folder) : Self.empty(database, service.folder)
  }

  func sight(_ comparison: DatabaseState.Comparison = { _, _ in nil }) throws -> Sighting {
    try DatabaseState.read(
      service.requireDatabase(), scratchPath: service.repository().scratchCopyPath(), held, comparison: comparison)
  }

  /// The same state, in a point that is still there.
  func covers(_ memory: AgentMemory, _ state: DatabaseState) -> Bool {
    guard let fingerprint = state.fingerprint,
      memory.fingerprint == fingerprint, memory.database.isExactly(state.path)
    else { return false }
    return isStored(memory)
  }

  /// A state of which the stamps prove nothing, and which is still what the last backup saw. To compare its pages again and again
  /// would never end; each event that is heard has them compared once.
  func isUnmoved(_ memory: AgentMemory, _ state: DatabaseState) -> Bool {
    guard state.fingerprint == nil, let lastState, memory.database == state.path, state.looksLike(lastState) else {
      return false
    }
    return isStored(memory)
  }

  private func isStored(_ memory: AgentMemory) -> Bool {
    (try? environment.files.status("\(service.folder)/\(memory.filename)")) != nil
  }

  mutating func remember(_ point: PointID, _ filename: String, _ state: DatabaseState) {
    // Without a fingerprint, too: what the database was like says whether the next state is an alarm.
    memory = AgentMemory(
      database: state.path, fingerprint: state.fingerprint, point: point, filename: filename,
      content: state.content, followed: changes.savedPosition(of: point))
    lastState = state
    isUnsaved = true
    let isRecent = savedMemory.map { environment.monotonic() - $0 < Self.savingInterval } ?? false
    if !isRecent { saveMemory() }
  }

  /// Writes down what is remembered, where that has not been done. Changes that come in quick succession do not, each for
  /// itself: a process that is killed before costs its successor a comparison.
  mutating func saveMemory() {
    guard isUnsaved, let memory else { return }
    (isUnsaved, savedMemory) = (false, environment.monotonic())
    do {
      try memory.save(try service.repository())
    } catch {
      logger.warning("the agent's memory was not stored, so its next start may take one backup too many: \(error)")
    }
  }

  /// Says what no point tells: that a file was replaced. Returns the reason where the database must not be backed up.
  mutating func raiseAlarms(_ state: DatabaseState) -> HoldfastError? {
    if let lost = lostCommits(state) {
      // What comes after them is stored: the application goes on from there.
      guard state.position.wal?.maxFrame != 0 else { return lost }
      logger.error("\(lost)")
    }
    guard let (before, point) = contentBefore(state), let database = service.database else { return nil }
    for alarm in ContentAlarm.decide(before: before, now: state.content) {
      let error = alarm.error(database: database, lastGood: point)
      if alarm.forbidsBackup { return error }
      // The others show in the point that is stored next. A restore of ours may replace the file.
      if alarm == .replaced, (try? service.wasJustRestored()) != true { reportReplacement(error) }
    }
    return nil
  }

  /// An error if the last backup holds commits that the database does not have any more, because its log was deleted.
  private func lostCommits(_ state: DatabaseState) -> HoldfastError? {
    let followed = memory?.followed.flatMap { $0.run.boot == MachineRun.current()?.boot ? $0.position.snapshot : nil }
    guard let memory, let before = lastState?.position ?? followed, state.position.hasLostCommits(since: before) else {
      return nil
    }
    return HoldfastError(
      .logDeleted,
      "\(state.path) has lost commits that \(memory.point) holds: they were in \(state.path)-wal, which was deleted",
      hint: "restart the application if it still runs, and compare with holdfast diff \(memory.point); "
        + "holdfast restore \(memory.point) brings them back")
  }

  /// What is odd about the new content shows in its point; the replacement itself is ordinary for some programs.
  private mutating func reportReplacement(_ error: HoldfastError) {
    let level: Logger.Level = hasReportedReplacement ? .debug : .notice
    hasReportedReplacement = true
    logger.log(
      level: level, "\(error.message), and its backup goes on; this is said once",
      metadata: ["hint": "\(error.hint ?? "")"])
  }

  /// As the last backup found the database; where this host does not remember, its newest point at least knows the tables.
  private func contentBefore(_ state: DatabaseState) -> (ContentFacts, PointID)? {
    if let memory, let content = memory.content { return (content, memory.point) }
    guard state.content.tables == 0, let newest = try? newestPoint(), let tables = newest.metadata.tableCounts else {
      return nil
    }
    var content = state.content
    content.tables = Int64(tables.count)
    return (content, newest.id)
  }

  /// - Parameter folder: of its backups.
  static func missing(_ database: String, _ folder: String) -> HoldfastError {
    HoldfastError(
      .databaseMissing, "there is no database \(database)",
      hint:
        "check the path; if the file was lost, holdfast restore latest --database \(database) --backup-dir \(folder) brings it back"
    )
  }

  static func empty(_ database: String, _ folder: String) -> HoldfastError {
    HoldfastError(
      .refused, "the database \(database) is empty, and an empty backup is not taken",
      hint:
        "if it was not empty before, holdfast restore latest --database \(database) --backup-dir \(folder) brings it back"
    )
  }
}
