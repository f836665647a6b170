import BackupEngine
import BackupPolicy
import Logging

extension DatabaseGuard {
  func take(_ result: JobResult, of job: Job) {
    switch result {
    case .assessed(let assessment, let newest, let files, let doubt):
      self.files = files
      note(clockDoubt: doubt)
      take(assessment, newest)
    case .looked(let look, let files):
      self.files = files
      let moment = clock.moment
      followUp.endLook(look, at: moment.monotonic)
      // At the end there is no later look for a commit that is being flushed; the backup waits for it.
      if look == .changed || look == .pending && isStopping { noteMissedChange(moment) }
    case .released: break
    case .backedUp(let ending, let files, let audit, let shortage, let comparing, let advice):
      self.files = files
      if comparing > 0 { _ = machine.receive(.compared(milliseconds: comparing), at: clock.moment) }
      take(audit)
      if case .success = ending { note(advice) }
      if let shortage { raise(.lowSpace, shortage) } else { clearAlarms([.lowSpace]) }
      end(job, outcome(ending))
    case .prevented(let error):
      raise(error.code == .busy ? .otherAgent : Alarm(error.code), error)
      end(job, .failed(error.code))
    }
  }

  private func end(_ job: Job, _ outcome: Outcome) {
    // A database that comes back is a change of its own.
    let isCovered = [.stored, .unchanged, .absent].contains(outcome)
    if case .backingUp(_, _, coversChange: true) = job, !isCovered { isChangeOwed = true }
    act(machine.receive(.finished(outcome), at: clock.moment))
  }

  // MARK: Assessments

  private func take(_ assessment: Result<ChangeBackup.Assessment, any Error>, _ newest: JobResult.Newest) {
    if let point = newest.point, let created = newest.created { self.newest = (point, created) }
    let isDue = isDue(assessment)
    let moment = clock.moment
    // What was written just before the watch began has raised no event.
    followUp.noteEvent(at: moment.monotonic)
    isChangeOwed = isChangeOwed || isDue
    checkKey(triesNewest: true)
    if !isReady {
      isReady = true
      act(machine.receive(.startup(changedWhileDown: isDue, lastScheduled: newest.scheduled), at: moment))
    } else if isDue {
      act(machine.receive(.change, at: moment))
    }
    note(newest.advice)
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
      raise(absent: error)
      return false
    case .failure(let error):
      // The backup will fail in the same way, and be tried again; or it will not, and all is well.
      logger.warning("the newest backup could not be compared with the database: \(error)")
      startReason = "it is not known what the newest backup holds"
      return true
    }
  }

  // MARK: Backups

  /// Tells the machine how the newest chain stands; the log, once.
  func note(_ advice: FullAdvice?) {
    let known = machine.advice
    if let advice, advice.chain != known?.chain || advice.urgency != known?.urgency {
      logger.info("a full is advised\(advice.urgency == .soon ? "" : " at a quiet time"): \(advice.reason)")
    }
    act(machine.receive(.advised(advice), at: clock.moment))
  }

  /// A miss was logged where it was found.
  private func take(_ audit: AuditOutcome?) {
    switch audit {
    case .missed(let miss):
      trackerMisses += 1
      _ = alarms.raise(.trackerMiss, miss.error, at: clock.now)
    case .passed: clearAlarms([.trackerMiss])
    case .notAudited, nil: break
    }
  }

  private func outcome(_ ending: Result<ChangeBackup.Ending, any Error>) -> Outcome {
    switch ending {
    case .success(.stored(let point)):
      newest = (point.id, point.created)
      thinningRhythm.noteBackup()
      if point.backupType != .manual { cleaningRhythm.noteBackup(atOnce: point.kind == .full) }
      clearAlarms(Alarm.ofBackups)
      return .stored
    case .success(.unchanged(let point)):
      clearAlarms(Alarm.ofBackups)
      logger.info("skipped: nothing was committed since \(point)")
      return .unchanged
    case .success(.absent(let error)):
      raise(absent: error)
      return .absent
    case .failure(let error as HoldfastError) where error.code == .interrupted:
      return interrupted()
    case .failure(let error):
      let error = error as? HoldfastError ?? HoldfastError(.failed, "\(error)")
      raise(Alarm(error.code), error)
      return .failed(error.code)
    }
  }

  private func interrupted() -> Outcome {
    if release.takeDecision() { return .released }
    logger.warning("the backup was abandoned")
    return .failed(.interrupted)
  }
}
