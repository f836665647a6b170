import BackupPolicy
import Names

/// The restores into databases, newest last, in `.metadata/restores.json`.
///
/// It has two readers. `undo` finds in it the content that the last restore replaced. The agent
/// uses it to distinguish a restore from an accident: a restore puts an older, perhaps much smaller
/// state into the database, and the agent backs that up within the second, often before the restore
/// has ended. An entry excuses one step: until a backup is stored that is newer than the end of the
/// restore, and for an hour if the restore was killed. Even then it excuses only content that
/// resembles the restored backup; see ``AnomalyPolicy``.
///
/// Crash order: the entry is written and flushed after the facts have been checked again and before
/// the first byte of the database changes. It is completed when the restored content is in place,
/// and removed if the restore fails before that. A restore that is killed leaves an incomplete
/// entry, whether or not the content changed.
///
/// Older versions kept the facts for the agent in `.state/restoring.json`. That file is still read,
/// and the next restore removes it.
struct RestoreJournal {
  let repository: Repository
  private static let limit = 200
  /// How long, in milliseconds, a restore that did not record its end counts as running.
  private static let patience: Int64 = 3_600_000

  private var path: String { repository.path(".metadata/restores.json") }
  private var olderPath: String { repository.path(".state/restoring.json") }

  /// Adds the entry before the first byte of the database changes; flushed.
  func begin(_ note: RestoreNote, install: String, _ patience: LockPatience) throws {
    try repository.exclusively(patience: patience) {
      try change { $0 = $0.suffix(Self.limit - 1) + [note.json(install: install)] }
      try repository.files.unlink(olderPath)
    }
  }

  /// Completes the entry when the restored content is in place.
  func complete(_ note: RestoreNote, install: String, _ patience: LockPatience) throws {
    try repository.exclusively(patience: patience) {
      var note = note
      note.endSequence = try repository.numbers.next(after: repository.everything()) - 1
      try change { entries in
        Self.remove(note, from: &entries)
        entries.append(note.json(install: install))
      }
    }
  }

  /// Removes the entry if nothing was restored.
  func cancel(_ note: RestoreNote, _ patience: LockPatience) throws {
    try repository.exclusively(patience: patience) { try change { Self.remove(note, from: &$0) } }
  }

  private static func remove(_ note: RestoreNote, from entries: inout [JSONValue]) {
    if let last = entries.last, RestoreNote(last)?.isSame(as: note) == true { entries.removeLast() }
  }

  /// The restores into a database, the newest first.
  ///
  /// - Throws: `failed` if the file is not valid.
  func restores(into database: String) throws -> [RestoreNote] {
    guard let bytes = try repository.files.contents(path) else { return [] }
    guard case .array(let entries) = JSONValue(parsing: bytes) else {
      throw HoldfastError(
        .failed, "cannot determine the last restore: \(path) is damaged",
        hint: "holdfast list shows the safety backups; holdfast restore ID restores one")
    }
    return entries.reversed().compactMap { RestoreNote($0) }.filter { $0.target.isExactly(database) }
  }

  var isEmpty: Bool {
    get throws { try repository.files.status(path) == nil && repository.files.status(olderPath) == nil }
  }

  /// Returns the backup that a restore put into a database, or is about to put there.
  ///
  /// - Parameter sequence: the newest number of the history. A backup that is newer than the
  ///   restore's end was made after it.
  /// - Throws: if a file exists and cannot be read. Otherwise the restore would count as an
  ///   accident.
  func restored(into database: String, after sequence: UInt64, now: Timestamp) throws -> PointMetadata? {
    let newest = try entries().reversed().lazy.compactMap { RestoreNote($0) }.first { $0.target.isExactly(database) }
    for note in [newest, try olderNote()].compactMap(\.self)
    where note.target.isExactly(database) && Self.excuses(note, after: sequence, now: now) {
      return try repository.stored(note.point)?.metadata
    }
    return nil
  }

  private static func excuses(_ note: RestoreNote, after sequence: UInt64, now: Timestamp) -> Bool {
    if let end = note.endSequence { return sequence <= end }
    // Older versions completed an entry without a number, and kept the number in a file of its own.
    guard !note.isComplete else { return false }
    let age = now.milliseconds - note.began.milliseconds
    return age >= 0 && age < patience
  }

  /// Returns the facts that an older version recorded for the agent.
  private func olderNote() throws -> RestoreNote? {
    guard let bytes = try repository.files.contents(olderPath, limit: 1 << 16) else { return nil }
    return JSONValue(parsing: bytes).flatMap { RestoreNote(older: $0) }
  }

  /// A damaged file counts as empty here; ``restores(into:)`` reports the damage.
  private func entries() throws -> [JSONValue] {
    guard let bytes = try repository.files.contents(path), case .array(let entries) = JSONValue(parsing: bytes) else {
      return []
    }
    return entries
  }

  /// Needs the lock; flushed.
  private func change(_ body: (inout [JSONValue]) -> Void) throws {
    var entries = try entries()
    body(&entries)
    try repository.files.replace(path, with: JSONValue.array(entries).encoded())
  }
}

extension RestoreNote {
  fileprivate func isSame(as other: RestoreNote) -> Bool {
    (point, target, began) == (other.point, other.target, other.began)
  }

  /// Returns nil if the JSON is not a valid entry.
  fileprivate init?(_ json: JSONValue) {
    guard case .object(let keys) = json, case .string(let id)? = keys["backup_id"], let point = PointID(id),
      case .string(let target)? = keys["target"], case .string(let time)? = keys["restored_at"],
      let began = Timestamp(iso8601: time)
    else { return nil }
    self.init(point: point, target: target, began: began)
    if case .string(let id)? = keys["safety_backup_id"] { safety = PointID(id) }
    safetyMark = BackupMark(sequence: nil, digest: nil)
    if case .integer(let number)? = keys["safety_sequence"] { safetyMark?.sequence = UInt64(clamping: number) }
    if case .string(let digest)? = keys["safety_digest"] { safetyMark?.digest = digest }
    // Older versions recorded a restore after its end.
    if case .bool(false)? = keys["completed"] { isComplete = false } else { isComplete = true }
    if case .integer(let number)? = keys["sequence"] { endSequence = UInt64(clamping: number) }
    if case .string(let bytes)? = keys["rewritten_bytes"] { rewrittenBytes = [UInt8](hex: bytes) }
  }

  /// Reads the `.state/restoring.json` of older versions.
  fileprivate init?(older json: JSONValue) {
    guard case .object(let keys) = json, case .string(let id)? = keys["backup_id"], let point = PointID(id),
      case .string(let target)? = keys["target"], case .string(let time)? = keys["begun_at"],
      let began = Timestamp(iso8601: time)
    else { return nil }
    self.init(point: point, target: target, began: began)
    if case .integer(let number)? = keys["sequence"] { endSequence = UInt64(clamping: number) }
    isComplete = endSequence != nil
  }

  fileprivate func json(install: String) -> JSONValue {
    .object([
      "backup_id": .string(point.text), "target": .string(target), "install": .string(install),
      "safety_backup_id": .optional(safety?.text), "safety_sequence": .optional(safetyMark?.sequence),
      "safety_digest": .optional(safetyMark?.digest), "restored_at": .string(began.iso8601),
      "completed": .bool(isComplete), "sequence": .optional(endSequence),
      "rewritten_bytes": .optional(rewrittenBytes?.hex),
    ])
  }
}

extension PointMetadata {
  /// See ``RestoreNote/safetyMark``.
  var mark: BackupMark { BackupMark(sequence: sequence, digest: digest) }
}
