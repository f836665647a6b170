import BackupEngine
import BackupPolicy
import Logging
import Replication

/// Removes the backups that retention does not keep. A failure is logged and affects nothing else.
/// Blocks.
struct CleaningUp {
  let engine: Engine
  let policy: RetentionPolicy
  let demands: TargetDemands
  let logger: Logger

  /// - Returns: whether backups may have been removed.
  @discardableResult func run(_ progress: Progress) -> Bool {
    do {
      guard try engine.environment.files.status(engine.folder) != nil else { return false }
      let decision = try engine.cleanup(
        policy, awaited: demands.awaited(), clock: .waiting, progress: progress)
      if let refused = decision.refused { logger.error("no backup was removed: \(refused)") }
      for verdict in decision.remove where decision.refused == nil {
        logger.info("removed \(verdict.id): \(verdict.reasons.joined(separator: ", "))")
      }
      return decision.refused == nil && !decision.remove.isEmpty
    } catch let error as HoldfastError where error.code == .interrupted {
      logger.debug("the cleanup was interrupted and continues after the next backup")
    } catch {
      logger.warning("the cleanup failed: \(error)")
    }
    return true
  }
}

/// Lets retention make room before a backup if the free space is below the configured minimum.
struct FreeSpaceKeeper {
  private let engine: Engine
  private let retention: RetentionPolicy?
  private let demands: TargetDemands
  private let logger: Logger
  /// Limits how often a backup may make room.
  private var rhythm = HousekeepingRhythm()

  init(_ engine: Engine, _ retention: RetentionPolicy?, _ demands: TargetDemands, _ logger: Logger) {
    (self.engine, self.retention, self.demands, self.logger) = (engine, retention, demands, logger)
  }

  /// - Returns: the shortage before the cleanup, for an alarm; nil if there was enough space.
  mutating func makeRoom(_ progress: Progress) -> HoldfastError? {
    guard let retention, let wanted = retention.minFreeSpace, let space = try? engine.space(),
      let shortage = wanted.shortage(space)
    else { return nil }
    rhythm.recordBackup()
    if rhythm.begin(at: engine.environment.monotonic()) {
      CleaningUp(engine: engine, policy: retention, demands: demands, logger: logger).run(progress)
    }
    return HoldfastError(
      .noSpace, "\(engine.folder): \(shortage), so all but the newest verified backup may be removed",
      hint: "free some space, or keep fewer backups; holdfast cleanup --dry-run lists the backups that would be removed"
    )
  }
}

/// Compacts old incrementals. This runs beside the backups because it may take minutes, and no
/// change has to wait for it.
struct CompactionTask {
  let engine: Engine
  let policy: CompactionPolicy
  /// The backups that these retention rules select are kept.
  let retention: RetentionPolicy?
  let demands: TargetDemands
  let logger: Logger

  /// Compacts as the policy says. A failure is logged, and the next compaction tries again. Blocks.
  ///
  /// - Parameter host: stores the incrementals that come meanwhile.
  /// - Returns: whether nothing is left to do for now, and whether backups may have been merged.
  func run(within host: any CompactionHost, _ progress: Progress) -> (isFinished: Bool, hasChanged: Bool) {
    do {
      guard try engine.environment.files.status(engine.folder) != nil else { return (true, false) }
      let outcome = try engine.compact(
        policy, keeping: retention, promised: demands.promised(), within: host, clock: .waiting, progress: progress)
      for (step, bytes) in outcome.done { logger.info("\(words(step, bytes))") }
      for (step, error) in outcome.skipped where error.code != .factsChanged {
        logger.error("\(step.removed[0]) and the incrementals after it cannot be compacted: \(error)")
      }
      return (true, !outcome.done.isEmpty)
    } catch let error as HoldfastError where error.code == .interrupted || error.code == .busy {
      return (false, true)
    } catch {
      logger.warning("the compaction failed: \(error)")
      return (true, true)
    }
  }

  private func words(_ step: CompactionStep, _ bytes: Int64) -> String {
    let points = "\(step.removed.count) backup\(step.removed.count == 1 ? "" : "s")"
    let what = step.survivor.map { "merged \(points) into \($0)" } ?? "removed \(points) from \(step.removed[0]) on"
    return
      "\(what): \(ByteCount(step.bytesBefore)) became \(ByteCount(bytes)) (\(step.reasons.joined(separator: "; ")))"
  }
}
