import BackupPolicy

/// Writes one restore into the ``RestoreJournal``.
///
/// A restore never fails because of its entry: if the entry cannot be written, the result is a
/// warning.
final class RestoreRecorder {
  private enum State {
    case notBegun
    /// The entry is there, and the content may be about to change.
    case begun(RestoreNote)
    /// The restored content is in place.
    case installed(RestoreNote)
    case ended
  }

  private var state = State.notBegun
  /// See ``RestoreNote/rewrittenBytes``.
  private var rewrittenBytes: [UInt8]?
  private let plan: RestorePlan
  /// Nil if the restore has no entry.
  private let journal: RestoreJournal?
  private let environment: EngineEnvironment

  init(_ plan: RestorePlan, _ repository: Repository?, _ environment: EngineEnvironment) {
    self.plan = plan
    self.environment = environment
    journal = repository.map { RestoreJournal(repository: $0) }
  }

  func setImage(rewrittenBytes: [UInt8]?) { self.rewrittenBytes = rewrittenBytes }

  /// Called before the first byte of the database changes. A restore to a new file has no entry.
  ///
  /// - Parameter safety: the backup of the former content.
  func begin(safety: StoredPoint?) {
    guard let journal, case .database = plan.request.target, case .notBegun = state else { return }
    var note = RestoreNote(
      point: plan.pointID, target: plan.target, began: environment.now(), safety: safety?.id)
    note.safetyMark = safety?.metadata.mark
    note.rewrittenBytes = rewrittenBytes
    state = .begun(note)
    do {
      try journal.begin(note, install: plan.install.rawValue, environment.repositoryPatience)
    } catch {
      environment.logger.warning(
        "could not record the restore: the next backup may be reported as an anomaly, and if the restore is killed, holdfast undo will not know of it: \(error)"
      )
    }
  }

  func contentIsInPlace() {
    if case .begun(let note) = state { state = .installed(note) }
  }

  /// The database is restored already, so a failure to record it is a warning, which is returned.
  ///
  /// - Parameter safety: the safety backup, which may have been made again since the entry was
  ///   begun.
  func complete(safety: StoredPoint?) -> [String] {
    guard let journal, case .installed(var note) = state else { return [] }
    state = .ended
    note.safety = safety?.id
    note.safetyMark = safety?.metadata.mark
    note.isComplete = true
    do {
      try journal.complete(note, install: plan.install.rawValue, environment.repositoryPatience)
      return []
    } catch {
      return ["the end of the restore was not recorded in the repository: \(error)"]
    }
  }

  /// Ends the entry of a failed restore. If the content has not changed yet, the entry is removed;
  /// otherwise it is completed.
  func abandon(safety: StoredPoint?) -> [String] {
    guard case .begun(let note) = state else { return complete(safety: safety) }
    state = .ended
    try? journal?.cancel(note, environment.repositoryPatience)
    return []
  }
}
