import BackupEngine
import BackupPolicy
import Wording

extension StateFacts {
  /// The facts of one database in an agent's answer to `status`.
  ///
  /// - Returns: nil if the answer is of another kind.
  package init?(status: JSONValue, isStopping: Bool, _ environment: EngineEnvironment) {
    guard case .object(let keys) = status, case .string(let name)? = keys["name"],
      case .string(let path)? = keys["path"], case .object(let trigger)? = keys["trigger"]
    else { return nil }
    let attentive: Watch =
      keys["watching"] == .bool(true) ? .events : .polls(interval: keys.integer("poll_ms") ?? 30_000)
    self.init(
      name: name, path: path,
      watch: isStopping ? .stopping : keys["ready"] == .bool(false) ? .starting : attentive)
    if let id = keys.text("last_backup_id").flatMap({ PointID($0) }), let created = keys.time("last_backup_at") {
      newest = Backup(id: id, created: created, sequence: keys.integer("last_sequence").flatMap { UInt64(exactly: $0) })
    }
    verified = keys.time("newest_verified_at")
    unprotectedSince = trigger.time("unprotected_since")
    isRunning = trigger["state"] == .string("running")
    waitingFor = unprotectedSince == nil ? nil : trigger.text("waiting_for")
    waitsForRun = trigger["mode"] == .string(TriggerMode.schedule.rawValue)
    (heldUntil, waitsUntil) = (trigger.time("held_until"), trigger.time("waits_until"))
    pausedUntil = trigger.time("paused_until")
    nextRun = trigger.time("next_run")
    alarms = keys.items("alarms").compactMap { Alarm($0) }
    copies = keys.items("targets").compactMap { Copy($0) }
    if case .object(let drills)? = keys["drills"] {
      proved = drills.time("last_passed_at")
      recovery = drills.integer("recovery_ms")
    }
    addUnseenWrite(known: keys.text("files"), environment)
    if let newest, let archive = keys.text("last_archive"), environment.files.isAbsent(archive) {
      unseenWrite = newest.created
    }
  }

  /// Looks at the files themselves: an agent that no longer receives events would report that all is
  /// well.
  private mutating func addUnseenWrite(known: String?, _ environment: EngineEnvironment) {
    let now = WatchedFiles(database: path, environment.files)
    let first = FirstUnsaved(path, environment)
    guard let known, known != now.text else { return first.forget() }
    guard !isRunning, unprotectedSince == nil else { return }
    unseenWrite = now.lastWrite.map { first.record($0, after: newest?.id) }
  }
}

extension StateFacts.Alarm {
  /// - Parameter json: as ``AlarmStatus/json``.
  fileprivate init?(_ json: JSONValue) {
    guard case .object(let keys) = json, let kind = keys.text("kind"), let since = keys.time("since"),
      let message = keys.text("message")
    else { return nil }
    self.init(
      kind: kind, since: since, message: message, hint: keys.text("hint"),
      stopsBackups: Alarm(rawValue: kind).map(Alarm.thatStopBackups.contains) ?? false)
  }
}

extension Alarm {
  /// Changes are not backed up while one of these lasts.
  static let thatStopBackups = ofBackups.union([.folder])
}

extension StateFacts.Copy {
  /// - Parameter json: as ``TargetRecord/json``.
  package init?(_ json: JSONValue) {
    guard case .object(let keys) = json, let name = keys.text("name") else { return nil }
    let (success, failure) = (keys.time("last_success"), keys.time("last_failure"))
    let hasFailed = failure.map { failure in success.map { $0 < failure } ?? true } ?? false
    self.init(
      name: name, unsent: Int(clamping: keys.integer("unsent") ?? 0), unsentSince: keys.time("unsent_since"),
      lastSuccess: success,
      error: hasFailed ? keys.text("last_error") : nil)
    (nextTry, newestSequence) = (keys.time("next_try"), keys.integer("newest_sequence"))
    usage = TargetUsage(keys["usage"])
    prices = keys.text("store").flatMap { StorePrices(store: $0) }
  }
}
