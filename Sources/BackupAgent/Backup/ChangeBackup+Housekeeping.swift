import BackupEngine
import BackupPolicy
import Logging

/// What keeps the repository small: after a backup, or before one that would find no room. Nothing here fails a backup.
extension ChangeBackup {
  private static let cleaningInterval: Int64 = 60_000

  /// Removes what retention says; a failure is logged and makes the backup no worse.
  ///
  /// - Parameter atOnce: after a full; else not more than once a minute, for it lists the repository, and a change that costs
  ///   little must not wait for that.
  mutating func applyRetention(_ progress: Progress, atOnce: Bool) {
    guard let policy = settings.retention else { return }
    let now = environment.monotonic()
    guard atOnce || cleanedUp.map({ now - $0 >= Self.cleaningInterval }) ?? true else { return }
    cleanedUp = now
    do {
      let decision = try service.cleanup(policy, progress: progress)
      if let refused = decision.refused { logger.error("nothing was cleaned up: \(refused)") }
      for verdict in decision.remove where decision.refused == nil {
        logger.info("removed \(verdict.id): \(verdict.reasons.joined(separator: ", "))")
      }
    } catch {
      logger.warning("cleaning up failed: \(error)")
    }
  }

  /// Before a backup: lets retention make room where less is free than is to stay so.
  ///
  /// - Returns: what was missing before, for an alarm; nil where there was enough.
  mutating func makeRoom(_ progress: Progress) -> HoldfastError? {
    guard let wanted = settings.retention?.minFreeSpace, let space = try? service.space(),
      let shortage = wanted.shortage(space)
    else { return nil }
    let now = environment.monotonic()
    if madeRoom.map({ now - $0 >= Self.cleaningInterval }) ?? true {
      madeRoom = now
      applyRetention(progress, atOnce: true)
    }
    return HoldfastError(
      .noSpace, "\(service.folder): \(shortage), so all but the newest verified backup may be removed",
      hint: "free some space, or keep fewer backups; holdfast cleanup --dry-run shows what goes")
  }
}
