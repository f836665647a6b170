import BackupEngine
import BackupPolicy

/// An alarm as the file has it.
struct RememberedAlarm: Hashable {
  var alarm: OpenAlarm
  /// Since when no agent has detected it again; nil if it lasted.
  var unseenSince: Timestamp?

  init(_ alarm: OpenAlarm, unseenSince: Timestamp? = nil) { (self.alarm, self.unseenSince) = (alarm, unseenSince) }
}

/// The alarms of one database that last, in this host's state folder, so that the next agent knows
/// since when. Only the agent that guards the database writes the file.
///
/// If it is lost, the alarms begin anew with the agent.
struct AlarmFile {
  private static let largest = 1 << 20
  private let repository: String
  private let environment: EngineEnvironment

  init(_ engine: Engine) { (repository, environment) = (engine.folder, engine.environment) }

  private var folder: String { "\(environment.stateFolder)/alarms" }
  private var path: String { get throws { "\(folder)/\(try repository.fileNameHash(bytes: 8)).json" } }

  /// Empty if the file is missing or unusable.
  func load() -> [RememberedAlarm] {
    guard let bytes = try? environment.files.contents(path, limit: Self.largest),
      case .object(let keys)? = JSONValue(parsing: bytes), keys.integer("version") == 1
    else { return [] }
    return keys.items("alarms").compactMap { RememberedAlarm($0) }
  }

  /// Writes the file without a flush.
  func save(_ alarms: [RememberedAlarm]) throws {
    let json = JSONValue.object(["version": .integer(1), "alarms": .array(alarms.map(\.json))])
    try environment.files.makeFolders(folder)
    try environment.files.replace(path, with: json.encoded(), durable: false)
  }
}

extension RememberedAlarm {
  fileprivate var json: JSONValue {
    .object(["alarm": alarm.json, "unseen_since": .optional(unseenSince?.iso8601)])
  }

  fileprivate init?(_ json: JSONValue) {
    // A time before 1970 is damage.
    guard case .object(let keys) = json, let alarm = keys["alarm"].flatMap({ OpenAlarm($0) }),
      alarm.since.milliseconds > 0
    else { return nil }
    self.init(alarm, unseenSince: keys.time("unseen_since"))
  }
}
