import BackupEngine
import BackupPolicy
import Logging

/// What keeps the repository small: after a backup, or before one that would find no room. Nothing here fails a backup.
extension ChangeBackup {
  private static let cleaningInterval: Int64 = 60_000

  /// Removes what retention says, at once; what the agent does beside its backups is ``DatabaseWork/keepHouse(_:_:)``.
  func applyRetention(_ progress: Progress) {
    guard let policy = settings.retention else { return }
    CleaningUp(service: service, policy: policy, logger: logger).run(progress)
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
      applyRetention(progress)
    }
    return HoldfastError(
      .noSpace, "\(service.folder): \(shortage), so all but the newest verified backup may be removed",
      hint: "free some space, or keep fewer backups; holdfast cleanup --dry-run shows what goes")
  }
}
