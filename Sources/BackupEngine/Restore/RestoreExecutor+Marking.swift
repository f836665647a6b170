import BackupPolicy

/// Tells the agent beforehand that what it is about to see is no accident; see ``RestoreMark``.
extension RestoreExecutor {
  enum Installing {
    case notYet
    /// The mark stands.
    case begun
    case done
  }

  func mark() {
    guard case .database = plan.request.target else { return }
    do {
      try RestoreMark(repository).begin(
        point.id, target: target, at: environment.now(), environment.repositoryPatience)
      installing = .begun
    } catch {
      // A restore must not fail for it.
      environment.logger.warning(
        "the next backup may be told as an anomaly, for the restore could not be noted: \(error)")
    }
  }

  func finishMark() {
    guard installing == .done else { return }
    do {
      try RestoreMark(repository).finish(environment.repositoryPatience)
    } catch {
      environment.logger.debug("the end of the restore could not be noted: \(error)")
    }
  }

  /// The restore failed, before the content changed or after.
  func unmark() {
    guard installing == .begun else { return finishMark() }
    try? RestoreMark(repository).cancel(environment.repositoryPatience)
  }
}

extension RestoreStep.Kind {
  /// Whether it changes the database.
  var installs: Bool { [.installLive, .installReplace, .installNew].contains(self) }
}
