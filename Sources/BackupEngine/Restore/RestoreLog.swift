import BackupPolicy

/// The restores that were done, newest last, in `.metadata/restores.json`.
struct RestoreLog {
  let repository: Repository
  private static let limit = 200

  private var path: String { repository.path(".metadata/restores.json") }

  func append(point: PointID, target: String, install: String, safety: PointID?, at time: Timestamp) throws {
    var entries: [JSONValue] = []
    if let bytes = try repository.files.contents(path), case .array(let known) = JSONValue(parsing: bytes) {
      entries = known.suffix(Self.limit - 1)
    }
    entries.append(
      .object([
        "backup_id": .string(point.text), "target": .string(target), "install": .string(install),
        "safety_backup_id": .optional(safety?.text), "restored_at": .string(time.iso8601),
      ]))
    try repository.exclusively { try repository.files.replace(path, with: JSONValue.array(entries).encoded()) }
  }
}
