import BackupPolicy

/// Tells the agent beforehand that what it is about to see is no accident (see ``RestoreMark``), and `undo` what was there before
/// (see ``RestoreLog``).
extension RestoreExecutor {
  enum Installing {
    case notYet
    /// The mark stands.
    case begun
    case done
  }

  /// A restore must not fail for what is noted of it.
  func mark() {
    guard case .database = plan.request.target, installing == .notYet else { return }
    do {
      try RestoreMark(repository).begin(
        point.id, target: target, at: environment.now(), environment.repositoryPatience)
    } catch {
      environment.logger.warning(
        "the next backup may be told as an anomaly, for the restore could not be noted: \(error)")
    }
    installing = .begun
    var note = RestoreNote(point: point.id, target: target, began: environment.now(), safety: safety?.id)
    note.rewrittenBytes = rewrittenBytes
    self.note = note
    do {
      try log.begin(note, install: plan.install.rawValue, environment.repositoryPatience)
    } catch {
      environment.logger.warning("if the restore is killed, holdfast undo will not know of it: \(error)")
    }
  }

  private var log: RestoreLog { RestoreLog(repository: repository) }

  private func finishMark() {
    guard installing == .done else { return }
    do {
      try RestoreMark(repository).finish(environment.repositoryPatience)
    } catch {
      environment.logger.debug("the end of the restore could not be noted: \(error)")
    }
  }

  /// The restore failed, before the content changed or after.
  func unmark() {
    guard installing == .begun else { return record() }
    try? RestoreMark(repository).cancel(environment.repositoryPatience)
    if let note { try? log.cancel(note, environment.repositoryPatience) }
  }

  /// The database is restored already, so failing to note it is a warning.
  func record() {
    finishMark()
    guard installing == .done, var note else { return }
    // The safety backup may have been made again under the lock.
    note.safety = safety?.id
    note.isComplete = true
    do {
      try log.complete(note, install: plan.install.rawValue, environment.repositoryPatience)
    } catch {
      warnings.append("the end of the restore was not noted in the repository: \(error)")
    }
  }
}

extension RestoreStep.Kind {
  /// Whether it changes the database.
  var installs: Bool { [.installLive, .installReplace, .installNew].contains(self) }
}
