import BackupPolicy

/// `.metadata/pins.json`: the backups that a person pinned, and the `guard` backups that a person
/// unpinned.
///
/// A backup's own metadata also contains the pin, but if the metadata is lost, it is derived from
/// the archive. A `guard` backup is pinned by its type, which the header of an `aes-256-gcm`
/// archive proves: if everything else is lost, it is pinned again, and never unpinned. If the
/// ledger is lost or damaged, the metadata counts, and the next change rewrites the ledger from it.
struct PinLedger {
  let folder: String
  let files: any FileOperations

  private var path: String { "\(folder)/.metadata/pins.json" }
  private static let limit = 4 << 20

  /// The pins and unpins in the ledger; most backups have no entry. If the ledger cannot be read,
  /// there are no entries: a listing or a restore does not need them.
  func entries() -> [PointID: Bool] { (try? read()) ?? [:] }

  /// The same for callers that remove or write, which must not overlook a pin.
  ///
  /// - Throws: if the ledger exists but cannot be read from the disk. A damaged one counts as
  ///   empty.
  func read() throws -> [PointID: Bool] {
    guard let bytes = try files.contents(path, limit: Self.limit), case .object(let keys) = JSONValue(parsing: bytes)
    else { return [:] }
    func ids(_ key: String) -> [PointID] {
      guard case .array(let items)? = keys[key] else { return [] }
      return items.compactMap { if case .string(let text) = $0 { PointID(text) } else { nil } }
    }
    let unpinned = Dictionary(ids("unpinned").map { ($0, false) }, uniquingKeysWith: { first, _ in first })
    // A backup on both lists stays pinned.
    return unpinned.merging(ids("pinned").map { ($0, true) }) { $1 }
  }

  /// The end times of the pins that end by themselves.
  func ends() throws -> [PointID: Timestamp] {
    guard let bytes = try files.contents(path, limit: Self.limit), case .object(let keys) = JSONValue(parsing: bytes),
      case .object(let ends)? = keys["until"]
    else { return [:] }
    let known = ends.keys.compactMap { key -> (PointID, Timestamp)? in
      guard let id = PointID(key), case .string(let text)? = ends[key], let time = Timestamp(iso8601: text) else {
        return nil
      }
      return (id, time)
    }
    return Dictionary(known, uniquingKeysWith: { first, _ in first })
  }

  /// Records that a backup is pinned or not, flushed. Needs the exclusive lock.
  ///
  /// - Parameters:
  ///   - points: every backup of the repository. Entries of removed backups are dropped.
  ///   - end: when rules may remove the backup again; nil for a permanent pin.
  func record(_ id: PointID, _ pinned: Bool, _ points: [StoredPoint], until end: Timestamp? = nil) throws {
    var told = try read()
    var ends = try ends().filter { known, _ in points.contains { $0.id == known } && told[known] == true }
    ends[id] = pinned ? end : nil
    told[id] = pinned
    // If the ledger was lost, the metadata knows the pins.
    let pins = points.map { ($0.id, told[$0.id] ?? ($0.metadata.pinned ? true : nil)) }
    func list(_ pinned: Bool) -> JSONValue { .array(pins.filter { $0.1 == pinned }.map { .string($0.0.text) }) }
    var keys: JSONObject = ["pinned": list(true), "unpinned": list(false)]
    if !ends.isEmpty {
      keys["until"] = .object(JSONObject(ends.map { (key: Array($0.key.text.utf8), value: .string($0.value.iso8601)) }))
    }
    try files.replace(path, with: JSONValue.object(keys).encoded())
  }
}

extension PointMetadata {
  /// Whether the type pins the backup, unless a person unpinned it.
  var isPinnedByType: Bool { backupType == .guard }
}

/// The result of pinning or unpinning a backup.
///
/// ```swift
/// let change = try await service.pin(backup.id)
/// if change.wasSo { print("\(change.point.id) was pinned before") }
/// ```
public struct PinChange: Sendable {
  /// The backup with its current metadata.
  public package(set) var point: PointMetadata
  /// The backup already had this state; nothing was changed.
  public package(set) var wasSo: Bool

  package var json: JSONValue {
    .object(["backup_id": .string(point.id.text), "pinned": .bool(point.pinned), "changed": .bool(!wasSo)])
  }
}

extension Engine {
  /// What ``setPin(_:of:until:)`` would do.
  package func planPin(_ pinned: Bool, of reference: String) throws -> PinChange {
    try Self.change(repository().point(reference), pinned)
  }

  /// - Parameter end: when rules may remove the backup again, as if it were not pinned; nil for a
  ///   permanent pin.
  /// - Throws: `interrupted` if `progress` was stopped before the first file is written.
  @discardableResult
  package func setPin(
    _ pinned: Bool, of reference: String, until end: Timestamp? = nil, progress: Progress = Progress()
  ) throws -> PinChange {
    let repository = try repository()
    let id = try repository.point(reference).id
    return try repository.exclusively(patience: environment.repositoryPatience.stopped(by: progress)) {
      // Read again under the lock: another process may have removed or rewritten the backup
      // meanwhile.
      let current = try repository.point(id.text)
      let change = try Self.change(current, pinned)
      // A `guard` backup is pinned from the beginning, but a plain archive does not record that.
      if change.wasSo, try !pinned || repository.pins.read()[id] == true && repository.pins.ends()[id] == end {
        return change
      }
      try progress.check()
      progress.mustEnd()
      // The ledger first: it takes precedence.
      try repository.pins.record(id, pinned, repository.everything(), until: end)
      // The metadata of a damaged or doubtful backup is not written merely for a pin.
      if !current.isDamaged, current.brokenLink == nil, current.isAuthenticated { try repository.write(change.point) }
      return change
    }
  }

  private static func change(_ point: StoredPoint, _ pinned: Bool) throws -> PinChange {
    guard !point.archiveMissing else { throw HoldfastError.archiveMissing(point.id) }
    var metadata = point.metadata
    metadata.pinned = pinned
    return PinChange(point: metadata, wasSo: point.metadata.pinned == pinned)
  }
}

extension Repository {
  var pins: PinLedger { PinLedger(folder: folder, files: files) }
}
