import BackupPolicy
import SQLitePages

extension Engine {
  /// Plans the undoing of the last restore into the database: a plan like that of any restore, with
  /// the facts about the undoing among its warnings.
  package func planUndo(progress: Progress = Progress()) throws -> RestoreDecision {
    try planUndoing(progress: progress).decision
  }

  /// - Returns: also the restore that it undoes, if there is one.
  package func planUndoing(progress: Progress) throws -> (decision: RestoreDecision, undoes: RestoreNote?) {
    let database = try requireDatabase().resolvingLinks
    let facts = try undoFacts(database, progress)
    switch UndoPolicy.decide(facts) {
    case .refuse(let refusal): return (.refuse(refusal), facts.last)
    case .restore(let id, let warnings):
      try requireKey(to: point(id.text))
      let decision = try planRestore(RestoreRequest(pointID: id, target: .database(path: database)))
      guard case .plan(var plan) = decision else { return (decision, facts.last) }
      plan.warnings = warnings + plan.warnings
      return (.plan(plan), facts.last)
    }
  }

  private func undoFacts(_ database: String, _ progress: Progress) throws -> UndoFacts {
    let repository = try repository()
    var newest: UndoFacts?
    for restore in try RestoreJournal(repository: repository).restores(into: database) {
      let facts = try undoFacts(database, restore, repository, progress)
      guard facts.wasInVain else { return facts }
      newest = newest ?? facts
    }
    return newest ?? UndoFacts(database: database, last: nil)
  }

  private func undoFacts(
    _ database: String, _ last: RestoreNote, _ repository: Repository, _ progress: Progress
  ) throws -> UndoFacts {
    var facts = UndoFacts(database: database, last: last)
    guard let id = last.safety, let safety = try repository.stored(id), !safety.archiveMissing else { return facts }
    let metadata = safety.metadata
    let type = safety.hasUnreadableMetadata ? nil : metadata.backupType
    switch last.identity(ofSafety: metadata.mark, type, created: metadata.created) {
    case .another: facts.safety = .another
    case .unproven: facts.safety = .unproven
    case .same: facts.safety = safety.name.content == .raw ? .rawCopy : .there
    }
    if facts.safety == .there { facts.content = try content(of: database, last, safety, repository, progress) }
    return facts
  }

  /// If the database cannot be read, its content is unknown. That may be the very reason for
  /// undoing.
  private func content(
    of database: String, _ last: RestoreNote, _ safety: StoredPoint, _ repository: Repository, _ progress: Progress
  ) throws -> UndoFacts.Content {
    do {
      let connection = try DatabaseConnection(path: database, access: .observer, busyTimeout: environment.busyTimeout)
      defer { environment.close(connection) }
      let snapshot = try DatabaseSnapshot(
        connection, scratchPath: repository.scratch().path(.copy),
        patience: Int(environment.busyTimeout))
      defer { snapshot.end() }
      let source = SnapshotSource(snapshot: snapshot)
      if let restored = try repository.stored(last.point), let original = last.rewrittenBytes,
        let same = try holds(restored, contentOf: RestoredSource(base: source, original: original), progress)
      {
        if same { return .asRestored }
        return try holds(safety, contentOf: source, progress) == true ? .asBefore : .changed
      }
      return try holds(safety, contentOf: source, progress) == true ? .asBefore : .unknown
    } catch let error as HoldfastError where error.code == .interrupted {
      throw error
    } catch {
      environment.logger.debug("\(database) cannot be compared with the restored content: \(error)")
      return .unknown
    }
  }
}
