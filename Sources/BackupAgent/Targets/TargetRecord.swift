import BackupEngine
import BackupPolicy
import Replication

/// The state of one target as the agent's last run found it, in the repository's
/// `.state/target-….json`, so that commands can show it beside the agent and after its end.
package struct TargetRecord: Hashable, Sendable {
  package var name: String
  /// The address as it was given; it contains no secret.
  package var address: String
  /// The number of the newest backup there; nil if it is not known.
  package var newestSequence: Int64?
  /// The backups that the target should have and does not.
  package var unsent: Int = 0
  /// When the oldest of them was made; nil if there is none.
  package var unsentSince: Timestamp?
  /// The end of the last run without a failure.
  package var lastSuccess: Timestamp?
  package var lastFailure: Timestamp?
  /// When the agent tries again after a failure; nil if it does not wait for that. Only a running agent
  /// knows it, so the file does not have it.
  package var nextTry: Timestamp?
  /// The error of the last failed run, also if a later one succeeded.
  package var lastError: String?
  /// Why the last run wrote nothing: foreign backups, or another writer.
  package var obstacle: String?
  /// Its content and the requests to it, as the last run found them; nil before that.
  package var usage: TargetUsage?
  /// The name of a store whose prices are known.
  package let store: String?

  package init(_ target: Target) {
    (name, address, store) = (target.name, target.address, target.url.prices?.store)
  }

  mutating func update(_ outcome: ReplicationOutcome, at now: Timestamp) {
    let newest = outcome.put.map(\.sequence).max()
    newestSequence = [newestSequence, newest].compactMap { $0 }.max()
    (unsent, unsentSince) = (outcome.unsent?.count ?? 0, outcome.unsent?.since)
    obstacle = outcome.obstacle.flatMap { $0 == .fullNeeded ? nil : $0.reason }
    if outcome.obstacle == nil {
      lastSuccess = now
    } else {
      (lastFailure, lastError) = (now, outcome.obstacle?.reason)
    }
  }

  /// Records a run of a command, as the agent records its own.
  package static func recordRun(
    _ outcome: ReplicationOutcome, _ usage: TargetUsage?, of target: Target, _ engine: Engine
  ) throws {
    var record = load(target, engine) ?? TargetRecord(target)
    record.update(outcome, at: engine.environment.now())
    if let usage { record.usage = usage }
    try record.save(engine)
  }

  /// Records a run of a command that failed.
  package static func recordFailure(_ error: any Error, of target: Target, _ engine: Engine) throws {
    var record = load(target, engine) ?? TargetRecord(target)
    (record.lastFailure, record.lastError) = (engine.environment.now(), "\(error)")
    try record.save(engine)
  }

  // MARK: The file

  private static func path(_ address: String, _ engine: Engine) throws -> String {
    "\(engine.folder)/.state/target-\(try address.fileNameHash(bytes: 8)).json"
  }

  /// Returns nil if the agent has not recorded a state, or if the file is damaged.
  package static func load(_ target: Target, _ engine: Engine) -> TargetRecord? {
    guard let bytes = try? engine.environment.files.contents(path(target.address, engine), limit: 1 << 16),
      case .object(let keys)? = JSONValue(parsing: bytes), keys["address"] == .string(target.address)
    else { return nil }
    var record = TargetRecord(target)
    record.newestSequence = keys.integer("newest_sequence")
    (record.unsent, record.unsentSince) = (Int(clamping: keys.integer("unsent") ?? 0), keys.time("unsent_since"))
    (record.lastSuccess, record.lastFailure) = (keys.time("last_success"), keys.time("last_failure"))
    (record.lastError, record.obstacle) = (keys.text("last_error"), keys.text("obstacle"))
    record.usage = TargetUsage(keys["usage"])
    return record
  }

  /// Writes the file without a flush: if it is torn, the next run writes it again. Only the thread of
  /// the target writes it.
  func save(_ engine: Engine) throws {
    let (files, path) = (engine.environment.files, try Self.path(address, engine))
    try files.unlink("\(path).new")
    let file = try files.open("\(path).new", .createNew)
    defer { files.close(file) }
    try json.encoded().withUnsafeBytes { try files.write(file, $0, at: 0) }
    try files.rename("\(path).new", to: path)
  }

  package var json: JSONValue {
    .object([
      "name": .string(name), "address": .string(address), "newest_sequence": .optional(newestSequence),
      "unsent": .integer(Int64(unsent)), "unsent_since": .optional(unsentSince?.iso8601),
      "last_success": .optional(lastSuccess?.iso8601), "last_failure": .optional(lastFailure?.iso8601),
      "last_error": .optional(lastError), "next_try": .optional(nextTry?.iso8601),
      "usage": usage?.json ?? .null, "store": .optional(store), "obstacle": .optional(obstacle),
    ])
  }
}

extension TargetUsage {
  fileprivate var json: JSONValue {
    .object([
      "objects": .integer(Int64(objects)), "bytes": .integer(bytes), "newest_created_at": .optional(newest?.iso8601),
      "month": .string(month), "requests": requests.json, "sent_bytes": .integer(sentBytes),
    ])
  }

  /// - Parameter json: as ``json``.
  init?(_ json: JSONValue?) {
    guard case .object(let keys)? = json else { return nil }
    self.init()
    (objects, bytes) = (Int(clamping: keys.integer("objects") ?? 0), keys.integer("bytes") ?? 0)
    (newest, month) = (keys.time("newest_created_at"), keys.text("month") ?? "")
    (requests, sentBytes) = (RequestCount(keys["requests"]), keys.integer("sent_bytes") ?? 0)
  }
}
