import BackupEngine
import BackupPolicy

/// Which state of the database the agent's last point holds, kept in the repository's `.state/agent.json`.
///
/// It can be lost at any time: the next start then takes one backup that might not have been needed, and compares all pages for
/// it.
struct AgentState: Hashable, Sendable {
  /// The database's path, links resolved.
  var database: String
  /// See ``DatabaseState/fingerprint``; nil where it proves nothing, so that no state counts as the one that is stored.
  var fingerprint: String?
  var point: PointID
  /// The point's archive.
  var filename: String
  /// What the database was like; nil where an older version wrote this.
  var content: ContentFacts?
  /// From where the point's pages were followed; nil where they were not, or nothing could be proved with it later.
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

  /// Reads it; nil where there is none, or none that can be used.
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

  /// Writes it. Unflushed: after a loss of power an older one names an older point, and one that is torn is none. It is the only
  /// write, so that what a stored point costs stays the same however much is remembered.
  ///
  /// Without the repository's lock, for the agent that holds `agent.lock` is the only one to write it; and under a name that
  /// nobody takes for the leftover of a backup.
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
