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

  private static let name = ".state/agent.json"

  private var json: JSONValue {
    .object([
      "database": .string(database), "fingerprint": .string(fingerprint), "backup_id": .string(point.text),
      "filename": .string(filename),
    ])
  }

  /// Reads it; nil where there is none, or none that can be used.
  static func load(_ repository: Repository) -> AgentMemory? {
    guard let bytes = try? repository.files.contents(repository.path(name), limit: 1 << 20),
      case .object(let keys)? = JSONValue(parsing: bytes), case .string(let database)? = keys["database"],
      case .string(let fingerprint)? = keys["fingerprint"], case .string(let id)? = keys["backup_id"],
      let point = PointID(id), case .string(let filename)? = keys["filename"]
    else { return nil }
    return AgentMemory(database: database, fingerprint: fingerprint, point: point, filename: filename)
  }

  /// Writes it, under the repository's lock, or another process could take the temporary file for a leftover. Unflushed:
  /// after a loss of power an older one names an older point, and one that is torn is none.
  func save(_ repository: Repository, patience: LockPatience) throws {
    try repository.exclusively(patience: patience) {
      try repository.files.replace(repository.path(Self.name), with: json.encoded(), durable: false)
    }
  }
}
