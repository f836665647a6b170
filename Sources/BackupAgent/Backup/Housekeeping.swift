import BackupEngine
import BackupPolicy
import Logging
import Replication

/// Keeps a repository small: removes the backups that retention does not keep, and merges old
/// incrementals. A failure is logged and affects nothing else. Blocks.
///
/// A backup uses it to make room. The agent's regular housekeeping runs beside the backups, because
/// it may take minutes, and no change has to wait for it.
struct Housekeeping: Sendable {
  let engine: Engine
  /// The configured rules. A compaction keeps the backups that they select.
  let retention: RetentionPolicy?
  let demands: TargetDemands
  /// Stores the incrementals that come during a compaction.
  let follower: ChangeFollower
  let logger: Logger

  /// Does the work of an order, while backups may run.
  func run(_ order: HousekeepingOrder, _ progress: Progress) -> HousekeepingResult {
    let doubt = engine.recordClock()
    let hasRemoved = order.retention.map { cleanUp(by: $0, progress) } ?? false
    let compaction = order.compaction.map { compact(by: $0, progress) }
    return HousekeepingResult(
      isFinished: compaction?.isFinished, hasChanged: hasRemoved || compaction?.hasChanged == true, clockDoubt: doubt,
      advice: follower.advice)
  }

  /// - Returns: whether backups may have been removed.
  @discardableResult func cleanUp(by policy: RetentionPolicy, _ progress: Progress) -> Bool {
    do {
      guard try engine.environment.files.status(engine.folder) != nil else { return false }
      let decision = try engine.cleanup(
        policy, awaited: demands.awaited(), clock: .waiting, progress: progress)
      if let refused = decision.refused { logger.error("no backup was removed: \(refused)") }
      for verdict in decision.remove where decision.refused == nil {
        logger.info(
          "removed \(verdict.id): \(verdict.reasons.joined(separator: ", "))",
          metadata: .about(.removed, backup: verdict.id))
      }
      return decision.refused == nil && !decision.remove.isEmpty
    } catch let error as HoldfastError where error.code == .interrupted {
      logger.debug("the cleanup was interrupted and continues after the next backup")
    } catch {
      logger.warning("the cleanup failed: \(error)")
    }
    return true
  }

  /// - Returns: whether nothing is left to do for now, and whether backups may have been merged.
  private func compact(by policy: CompactionPolicy, _ progress: Progress) -> (isFinished: Bool, hasChanged: Bool) {
    do {
      guard try engine.environment.files.status(engine.folder) != nil else { return (true, false) }
      let outcome = try engine.compact(
        policy, keeping: retention, promised: demands.promised(), within: follower, clock: .waiting, progress: progress)
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

/// Lets retention make room before a backup if the free space is below the configured minimum.
struct FreeSpaceKeeper {
  private let housekeeping: Housekeeping
  /// Limits how often a backup may make room.
  private var rhythm = HousekeepingRhythm()

  init(_ housekeeping: Housekeeping) { self.housekeeping = housekeeping }

  /// Why the free space is less than configured; nil if it is not.
  func shortage() throws -> HoldfastError? {
    let engine = housekeeping.engine
    guard let wanted = housekeeping.retention?.minFreeSpace, let shortage = try wanted.shortage(engine.space()) else {
      return nil
    }
    return HoldfastError(
      .noSpace, "\(engine.folder): \(shortage), so all but the newest verified backup may be removed",
      hint: "free some space, or keep fewer backups; holdfast cleanup --dry-run lists the backups that would be removed"
    )
  }

  /// - Returns: the shortage before the cleanup, for an alarm; nil if there was enough space.
  mutating func makeRoom(_ progress: Progress) -> HoldfastError? {
    guard let retention = housekeeping.retention, let shortage = (try? self.shortage()) ?? nil else { return nil }
    rhythm.recordBackup()
    if rhythm.begin(at: housekeeping.engine.environment.monotonic()) { housekeeping.cleanUp(by: retention, progress) }
    return shortage
  }
}
