import BackupPolicy
import Names

/// The restores into databases, newest last, in `.metadata/restores.json`; what `undo` goes by.
///
/// An entry is written before the database changes, so that a restore that is killed is known, too, and completed afterwards.
struct RestoreLog {
  let repository: Repository
  private static let limit = 200

  private var path: String { repository.path(".metadata/restores.json") }

  /// Before the first byte of the database changes; flushed.
  func begin(_ note: RestoreNote, install: String, _ patience: LockPatience) throws {
    try change(patience) { entries in
      entries = entries.suffix(Self.limit - 1) + [note.json(install: install)]
    }
  }

  /// The restored content is in place.
  func complete(_ note: RestoreNote, install: String, _ patience: LockPatience) throws {
    try change(patience) { entries in
      if let last = entries.last, RestoreNote(last)?.isSame(as: note) == true { entries.removeLast() }
      entries.append(note.json(install: install))
    }
  }

  /// Nothing was restored.
  func cancel(_ note: RestoreNote, _ patience: LockPatience) throws {
    try change(patience) { entries in
      if let last = entries.last, RestoreNote(last)?.isSame(as: note) == true { entries.removeLast() }
    }
  }

  /// The restores into a database, the newest first.
  ///
  /// - Throws: `failed` where the file cannot be understood.
  func restores(into database: String) throws -> [RestoreNote] {
    guard let bytes = try repository.files.contents(path) else { return [] }
    guard case .array(let entries) = JSONValue(parsing: bytes) else {
      throw HoldfastError(
        .failed, "cannot tell what the last restore was: \(path) is damaged",
        hint: "holdfast list shows the safety backups; holdfast restore ID brings one back")
    }
    return entries.reversed().compactMap { RestoreNote($0) }.filter { $0.target.isExactly(database) }
  }

  private func change(_ patience: LockPatience, _ body: (inout [JSONValue]) -> Void) throws {
    try repository.exclusively(patience: patience) {
      var entries: [JSONValue] = []
      if let bytes = try repository.files.contents(path), case .array(let known) = JSONValue(parsing: bytes) {
        entries = known
      }
      body(&entries)
      try repository.files.replace(path, with: JSONValue.array(entries).encoded())
    }
  }
}

extension RestoreNote {
  fileprivate func isSame(as other: RestoreNote) -> Bool {
    (point, target, began) == (other.point, other.target, other.began)
  }

  /// Nil for what is none.
  fileprivate init?(_ json: JSONValue) {
    guard case .object(let keys) = json, case .string(let id)? = keys["backup_id"], let point = PointID(id),
      case .string(let target)? = keys["target"], case .string(let time)? = keys["restored_at"],
      let began = Timestamp(iso8601: time)
    else { return nil }
    self.init(point: point, target: target, began: began)
    if case .string(let id)? = keys["safety_backup_id"] { safety = PointID(id) }
    // Older versions noted a restore when it was done.
    if case .bool(false)? = keys["completed"] { isComplete = false } else { isComplete = true }
    if case .string(let bytes)? = keys["rewritten_bytes"] { rewrittenBytes = [UInt8](hex: bytes) }
  }

  fileprivate func json(install: String) -> JSONValue {
    .object([
      "backup_id": .string(point.text), "target": .string(target), "install": .string(install),
      "safety_backup_id": .optional(safety?.text), "restored_at": .string(began.iso8601),
      "completed": .bool(isComplete), "rewritten_bytes": .optional(rewrittenBytes?.hex),
    ])
  }
}
