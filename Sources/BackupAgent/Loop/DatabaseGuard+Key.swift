import BackupEngine
import BackupPolicy

/// The key file may be replaced or lost while the agent has the key in memory: its backups would then be readable by it alone.
extension DatabaseGuard {
  /// Has the key compared with its files if these are not as they were.
  func noteKeyFiles() {
    guard let source = database.credentials, !isStopping else { return }
    let files = source.paths.map { try? service.environment.files.status($0) }
    guard files != keyFiles else { return }
    keyFiles = files
    checkKey()
  }

  /// - Parameter triesNewest: whether to try the key on the newest backup, too.
  func checkKey(triesNewest: Bool = false) {
    guard settings.request.encrypt else { return }
    let check = KeyCheck(service: service, source: database.credentials, triesNewest: triesNewest)
    // A password's derivation takes long, and no backup is to wait for it.
    let pool = service.credentials.key == nil ? shared.housekeeping : shared.workers
    pool.submit(nil) { [id] in .keyChecked(id, check.problem()) }
  }

  func finishKeyCheck(_ problem: HoldfastError?) {
    guard !isStopping else { return }
    if let problem { raise(.keyFile, problem) } else { clearAlarms([.keyFile]) }
  }
}
