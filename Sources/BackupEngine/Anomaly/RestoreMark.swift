import BackupPolicy
import Names

/// `.state/restoring.json`: the restore into the database that is going on, or was the last one.
///
/// A restore puts an older, perhaps much smaller state into the database, and the agent backs that up within the second, often
/// before the restore has ended. The mark tells it from an accident. It counts for one step: until a point is stored that is
/// newer than the end of the restore, and for an hour where a restore was killed. Even then it excuses only what looks like the
/// point that was being restored; see ``AnomalyPolicy``.
struct RestoreMark {
  private let repository: Repository
  private var path: String { repository.path(".state/restoring.json") }
  /// Milliseconds for which a restore that did not say how it ended is believed to go on.
  private static let patience: Int64 = 3_600_000

  init(_ repository: Repository) {
    self.repository = repository
  }

  private struct Content {
    var point: PointID
    var target: String
    var begun: Timestamp
    /// The newest number in the repository at the end of the restore; nil while it goes on.
    var sequence: UInt64?

    init(point: PointID, target: String, begun: Timestamp, sequence: UInt64?) {
      (self.point, self.target, self.begun, self.sequence) = (point, target, begun, sequence)
    }

    init?(_ json: JSONValue) {
      guard case .object(let keys) = json, case .string(let id)? = keys["backup_id"], let point = PointID(id),
        case .string(let target)? = keys["target"], case .string(let time)? = keys["begun_at"],
        let begun = Timestamp(iso8601: time)
      else { return nil }
      self.init(point: point, target: target, begun: begun, sequence: nil)
      if case .integer(let number)? = keys["sequence"] { sequence = UInt64(clamping: number) }
    }

    var json: JSONValue {
      .object([
        "backup_id": .string(point.text), "target": .string(target), "begun_at": .string(begun.iso8601),
        "sequence": .optional(sequence),
      ])
    }
  }

  /// Before the first byte of the database changes.
  func begin(_ point: PointID, target: String, at time: Timestamp, _ patience: LockPatience) throws {
    try repository.exclusively(patience: patience) {
      try write(Content(point: point, target: target, begun: time, sequence: nil))
    }
  }

  /// The restored content is in place.
  func finish(_ patience: LockPatience) throws {
    try repository.exclusively(patience: patience) {
      guard var content = try read() else { return }
      content.sequence = try repository.nextSequence(repository.everything()) - 1
      try write(content)
    }
  }

  /// Nothing was restored.
  func cancel(_ patience: LockPatience) throws {
    try repository.exclusively(patience: patience) { try repository.files.unlink(path) }
  }

  var isThere: Bool { get throws { try read() != nil } }

  /// The point that a restore put into a database, or is about to.
  ///
  /// - Parameter sequence: the newest number of the history: a point that is newer than the restore's end has seen it.
  func restored(into database: String, after sequence: UInt64, now: Timestamp) throws -> PointMetadata? {
    guard let content = try read(), content.target.isExactly(database) else { return nil }
    if let end = content.sequence {
      guard sequence <= end else { return nil }
    } else {
      let age = now.milliseconds - content.begun.milliseconds
      guard age >= 0, age < Self.patience else { return nil }
    }
    return try repository.stored(content.point)?.metadata
  }

  /// - Throws: if the mark is there and cannot be read: the restore would count as an accident.
  private func read() throws -> Content? {
    guard let bytes = try repository.files.contents(path, limit: 1 << 16) else { return nil }
    return JSONValue(parsing: bytes).flatMap { Content($0) }
  }

  /// Unflushed: without it one restore is told as an anomaly, which holds more than it should and harms nobody.
  private func write(_ content: Content) throws {
    try repository.files.replace(path, with: content.json.encoded(), durable: false)
  }
}

extension BackupService {
  /// Whether what the database holds now may be what a restore put there, and no point tells of it yet.
  package func wasJustRestored() throws -> Bool {
    let path = try requireDatabase().resolvingLinks
    let repository = try repository()
    let mark = RestoreMark(repository)
    guard try mark.isThere else { return false }
    let sequence = try repository.points().last { $0.metadata.mayBeParent }?.metadata.sequence ?? 0
    return try mark.restored(into: path, after: sequence, now: environment.now()) != nil
  }
}
