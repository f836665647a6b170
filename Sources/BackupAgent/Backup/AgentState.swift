import BackupEngine
import BackupPolicy

/// The state of the database that the agent's last backup holds, stored in the repository's
/// `.state/agent.json`.
///
/// If the file is lost, the next start compares all pages and may store one backup that is not
/// needed.
struct AgentState: Hashable, Sendable {
  /// The database's path, with links resolved.
  var database: String
  /// See ``DatabaseState/fingerprint``. It is nil if the fingerprint proves nothing, so that no
  /// state is equal to the stored one.
  var fingerprint: String?
  var point: PointID
  /// The backup's archive.
  var filename: String
  /// The facts about the database's content; nil if an older version wrote the file.
  var content: ContentFacts?
  /// The position from which the changes after this backup are followed; nil if they are not
  /// followed, or if the position could prove nothing later.
  var followed: SavedPosition?

  private static let name = ".state/agent.json"

  private var json: JSONValue {
    var keys: JSONObject = [
      "database": .string(database), "backup_id": .string(point.text), "filename": .string(filename),
    ]
    keys["fingerprint"] = fingerprint.map { .string($0) }
    if let content {
      keys["content"] = .object([
        "file": .string(content.file), "used_bytes": .integer(content.usedBytes), "tables": .integer(content.tables),
      ])
    }
    keys["followed"] = followed?.json
    return .object(keys)
  }

  /// Reads the state; returns nil if the file is missing or unusable.
  static func load(_ repository: Repository) -> AgentState? {
    guard let bytes = try? repository.files.contents(repository.path(name), limit: 1 << 20),
      case .object(let keys)? = JSONValue(parsing: bytes), case .string(let database)? = keys["database"],
      case .string(let id)? = keys["backup_id"], let point = PointID(id),
      case .string(let filename)? = keys["filename"]
    else { return nil }
    var state = AgentState(
      database: database, point: point, filename: filename, content: keys["content"].flatMap { ContentFacts($0) },
      followed: keys["followed"].flatMap { SavedPosition($0) })
    if case .string(let fingerprint)? = keys["fingerprint"] { state.fingerprint = fingerprint }
    return state
  }

  /// Writes the state without a flush: after a power loss the file may be older and name an older
  /// backup, or be torn, which counts as missing. This is the only write, so the cost of a stored
  /// backup does not grow with the state.
  ///
  /// The repository's lock is not needed because only the agent that holds `agent.lock` writes this
  /// file. The temporary name cannot be mistaken for the leftover of a backup.
  func save(_ repository: Repository) throws {
    let (path, temporary) = (repository.path(Self.name), repository.path(Self.name + ".new"))
    let files = repository.files
    try files.unlink(temporary)
    let file = try files.open(temporary, .createNew)
    defer { files.close(file) }
    try json.encoded().withUnsafeBytes { try files.write(file, $0, at: 0) }
    try files.rename(temporary, to: path)
  }
}

extension ContentFacts {
  fileprivate init?(_ json: JSONValue) {
    guard case .object(let keys) = json, case .string(let file)? = keys["file"],
      case .integer(let usedBytes)? = keys["used_bytes"], case .integer(let tables)? = keys["tables"]
    else { return nil }
    self.init(file: file, usedBytes: usedBytes, tables: tables)
  }
}
