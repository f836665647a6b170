import BackupEngine
import BackupPolicy
import Logging
import Notifications

/// The facts that the receivers of a channel know, in this host's state folder. Only the agent writes
/// the file.
///
/// If it is lost, a message about an alarm that lasts is sent once more.
struct NotificationFile {
  private static let largest = 1 << 20
  private let environment: EngineEnvironment
  private let identity: String

  /// - Parameter owner: distinguishes the agents of this host.
  init(of channel: Channel, owner: String, _ environment: EngineEnvironment) {
    self.environment = environment
    identity = "\(owner)\u{0}\(channel.name)"
  }

  private var folder: String { "\(environment.stateFolder)/notifications" }
  private var path: String { get throws { "\(folder)/\(try identity.fileNameHash(bytes: 8)).json" } }

  /// Empty if the file is missing or unusable.
  func load() -> NotificationMemory {
    guard let bytes = try? environment.files.contents(path, limit: Self.largest),
      let memory = NotificationMemory(JSONValue(parsing: bytes))
    else { return NotificationMemory() }
    return memory
  }

  /// Writes the file without a flush. A failure is only logged: it costs at most a repeated message.
  func save(_ memory: NotificationMemory, _ logger: Logger) {
    do {
      try environment.files.makeFolders(folder)
      try environment.files.replace(path, with: memory.json.encoded(), durable: false)
    } catch {
      logger.debug("the state of the messages is not saved: \(error)")
    }
  }
}

extension NotificationMemory {
  var json: JSONValue {
    .object([
      "version": .integer(1), "told": .array(told.map(\.json)), "thread": .optional(thread),
      "sent": .array(sent.map { .string($0.iso8601) }), "last_report": .optional(lastReport?.iso8601),
      "last_alarm_notice": .optional(lastAlarmNotice?.iso8601),
      "ends": .array(
        ends.sorted { $0.key < $1.key }.map { key, times in
          .object(key.json.merging(["times": .array(times.map { .string($0.iso8601) })]))
        }),
    ])
  }

  /// Entries that make no sense are left out.
  init?(_ json: JSONValue?) {
    guard case .object(let keys)? = json, keys.integer("version") == 1 else { return nil }
    self.init()
    told = keys.items("told").compactMap { OpenAlarm($0) }
    thread = keys.text("thread")
    sent = keys.times("sent")
    lastReport = keys.time("last_report")
    lastAlarmNotice = keys.time("last_alarm_notice")
    for case .object(let entry) in keys.items("ends") {
      if let key = OpenAlarm.Key(entry) { ends[key] = entry.times("times") }
    }
  }
}

extension JSONObject {
  fileprivate func times(_ key: String) -> [Timestamp] {
    items(key).compactMap { if case .string(let text) = $0 { Timestamp(iso8601: text) } else { nil } }
  }
}

extension OpenAlarm.Key {
  fileprivate var json: JSONObject {
    ["database": .optional(database), "kind": .string(kind), "subject": .optional(subject)]
  }

  fileprivate init?(_ keys: JSONObject) {
    guard let kind = keys.text("kind") else { return nil }
    self.init(database: keys.text("database"), kind: kind, subject: keys.text("subject"))
  }
}

extension OpenAlarm {
  var json: JSONValue {
    .object(
      key.json.merging(["since": .string(since.iso8601), "message": .string(message), "hint": .optional(hint)]))
  }

  init?(_ json: JSONValue) {
    guard case .object(let keys) = json, let key = Key(keys), let since = keys.time("since"),
      let message = keys.text("message")
    else { return nil }
    self.init(key, since: since, message: message, hint: keys.text("hint"))
  }
}
