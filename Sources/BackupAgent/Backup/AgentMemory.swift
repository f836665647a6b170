import BackupEngine
import BackupPolicy

/// Which state of the database the agent's last point holds, kept in the repository's `.state/agent.json`.
///
/// It can be lost at any time: the next start then takes one backup that might not have been needed.
struct AgentMemory: Hashable, Sendable {
  /// The database's path, links resolved.
  var database: String
  /// See ``DatabaseState/fingerprint``.
  var fingerprint: String
  var point: PointID
  /// The point's archive.
  var filename: String
  /// What the database was like; nil where an older version wrote this.
  var content: ContentFacts?

  private static let name = ".state/agent.json"

  private var json: JSONValue {
    var keys: [String: JSONValue] = [
      "database": .string(database), "fingerprint": .string(fingerprint), "backup_id": .string(point.text),
      "filename": .string(filename),
    ]
    if let content {
      keys["content"] = .object([
        "file": .string(content.file), "used_bytes": .integer(content.usedBytes), "tables": .integer(content.tables),
      ])
    }
    return .object(keys)
  }

  /// Reads it; nil where there is none, or none that can be used.
  static func load(_ repository: Repository) -> AgentMemory? {
    guard let bytes = try? repository.files.contents(repository.path(name), limit: 1 << 20),
      case .object(let keys)? = JSONValue(parsing: bytes), case .string(let database)? = keys["database"],
      case .string(let fingerprint)? = keys["fingerprint"], case .string(let id)? = keys["backup_id"],
      let point = PointID(id), case .string(let filename)? = keys["filename"]
    else { return nil }
    return AgentMemory(
      database: database, fingerprint: fingerprint, point: point, filename: filename,
      content: keys["content"].flatMap { ContentFacts($0) })
  }

  /// Writes it, under the repository's lock, or another process could take the temporary file for a leftover. Unflushed:
  /// after a loss of power an older one names an older point, and one that is torn is none.
  func save(_ repository: Repository, patience: LockPatience) throws {
    try repository.exclusively(patience: patience) {
      try repository.files.replace(repository.path(Self.name), with: json.encoded(), durable: false)
    }
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
