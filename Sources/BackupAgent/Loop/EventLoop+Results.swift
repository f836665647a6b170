import BackupEngine
import BackupPolicy
import Logging

extension EventLoop {
  /// Takes what the worker has done.
  func handle(_ result: JobResult) {
    switch result {
    case .assessed(let assessment, let files):
      self.files = files
      act(machine.receive(.startup(changedWhileDown: isDue(assessment)), at: moment()))
    case .checked(let changed, let files):
      self.files = files
      isChecking = false
      if changed { noteMissedChange() }
    case .backedUp(let ending, let files):
      self.files = files
      progress = nil
      act(machine.receive(.finished(outcome(ending)), at: moment()))
    }
  }

  private func isDue(_ assessment: Result<ChangeBackup.Assessment, any Error>) -> Bool {
    switch assessment {
    case .success(.unchanged(let point)):
      logger.info("nothing has changed since \(point)")
      return false
    case .success(.due(let reason)):
      startReason = reason
      return true
    case .success(.absent(let error)):
      raise(error)
      return false
    case .failure(let error):
      // The backup will fail in the same way, and be tried again; or it will not, and all is well.
      logger.warning("the newest backup could not be compared with the database: \(error)")
      startReason = "it is not known what the newest backup holds"
      return true
    }
  }

  /// A commit became visible after the look that its event had caused. It was quiet meanwhile, so the event is over: only
  /// the machine is told, and the looks that are left go on.
  private func noteMissedChange() {
    act(machine.receive(.change, at: moment()))
  }

  private func outcome(_ ending: Result<ChangeBackup.Ending, any Error>) -> Outcome {
    switch ending {
    case .success(.stored):
      clear(.missing, .empty)
      return .stored
    case .success(.unchanged(let point)):
      clear(.missing, .empty)
      logger.info("skipped: nothing was committed since \(point)")
      return .unchanged
    case .success(.absent(let error)):
      raise(error)
      return .unchanged
    case .failure(let error as HoldfastError) where error.code == .interrupted:
      logger.warning("the backup was abandoned")
      return .failed(.interrupted)
    case .failure(let error):
      logger.error("the backup failed: \(error)")
      return .failed((error as? HoldfastError)?.code ?? .failed)
    }
  }
}
