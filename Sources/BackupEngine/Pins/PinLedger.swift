import BackupPolicy

/// `.metadata/pins.json`: which points somebody pinned, and which guard points somebody unpinned.
///
/// A point's own metadata says it too, but is derived from its archive when it is lost. A guard point is pinned by its type, which
/// the header of an `aes-256-gcm` archive proves: losing all but that pins it again, and never frees it. Where the ledger is lost or
/// damaged, what the metadata says holds, and the next change writes the ledger anew from it.
struct PinLedger {
  let folder: String
  let files: any FileOperations

  private var path: String { "\(folder)/.metadata/pins.json" }
  private static let limit = 4 << 20

  /// What is said of points here; nothing of most. What cannot be read says nothing: a listing or a restore does without.
  func entries() -> [PointID: Bool] { (try? read()) ?? [:] }

  /// The same for those who remove or write, and must not overlook a pin.
  ///
  /// - Throws: where the ledger is there and the disk does not give it. A damaged one says nothing.
  func read() throws -> [PointID: Bool] {
    guard let bytes = try files.contents(path, limit: Self.limit), case .object(let keys) = JSONValue(parsing: bytes)
    else { return [:] }
    func ids(_ key: String) -> [PointID] {
      guard case .array(let items)? = keys[key] else { return [] }
      return items.compactMap { if case .string(let text) = $0 { PointID(text) } else { nil } }
    }
    let unpinned = Dictionary(ids("unpinned").map { ($0, false) }, uniquingKeysWith: { first, _ in first })
    // A point on both lists stays.
    return unpinned.merging(ids("pinned").map { ($0, true) }) { $1 }
  }

  /// When pins end by themselves, of those that do.
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

  /// Writes that a point is pinned or not, flushed. Needs the exclusive lock.
  ///
  /// - Parameters:
  ///   - points: every point of the repository. Of those that are gone nothing is kept.
  ///   - end: when rules may take the point again; nil for a pin that stays.
  func record(_ id: PointID, _ pinned: Bool, _ points: [StoredPoint], until end: Timestamp? = nil) throws {
    var told = try read()
    var ends = try ends().filter { known, _ in points.contains { $0.id == known } && told[known] == true }
    ends[id] = pinned ? end : nil
    told[id] = pinned
    // Where the ledger was lost, the metadata knows.
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
  /// Unless somebody said otherwise.
  var isPinnedByType: Bool { backupType == .guard }
}

/// What pinning or unpinning a point did.
public struct PinChange: Sendable {
  /// The point, with what is recorded of it now.
  public package(set) var point: PointMetadata
  /// It was so before; nothing was changed.
  public package(set) var wasSo: Bool

  package var json: JSONValue {
    .object(["backup_id": .string(point.id.text), "pinned": .bool(point.pinned), "changed": .bool(!wasSo)])
  }
}

extension BackupService {
  /// Keeps a point until ``unpin(_:)``: no rule, no want of room, no merging and no `delete` takes it away, nor what it needs.
  ///
  /// Pinned points are not counted by rules. Pinning a pinned point changes nothing.
  ///
  /// - Throws: `HoldfastError`: `pointNotFound`, `busy`, `permissionDenied`, `ioError`.
  @discardableResult
  public func pin(_ id: PointID) async throws -> PinChange {
    try await BlockingWork.run("pin \(id)") { _ in try self.setPin(true, of: id.text) }
  }

  /// Lets a point go by the rules again. A guard point is then treated as a safety backup: it stays until it is a week old.
  ///
  /// - Throws: `HoldfastError`: `pointNotFound`, `busy`, `permissionDenied`, `ioError`.
  @discardableResult
  public func unpin(_ id: PointID) async throws -> PinChange {
    try await BlockingWork.run("unpin \(id)") { _ in try self.setPin(false, of: id.text) }
  }

  /// What ``setPin(_:of:)`` would do.
  package func planPin(_ pinned: Bool, of reference: String) throws -> PinChange {
    try Self.change(repository().point(reference), pinned)
  }

  /// - Parameter end: when rules may take the point again, as if it were not pinned; nil for a pin that stays.
  @discardableResult
  package func setPin(_ pinned: Bool, of reference: String, until end: Timestamp? = nil) throws -> PinChange {
    let repository = try repository()
    let id = try repository.point(reference).id
    return try repository.exclusively(patience: environment.repositoryPatience) {
      // Read again under the lock: somebody may have removed or rewritten it meanwhile.
      let current = try repository.point(id.text)
      let change = try Self.change(current, pinned)
      // A guard point is pinned from the beginning, but a plain archive does not say so.
      if change.wasSo, try !pinned || repository.pins.read()[id] == true && repository.pins.ends()[id] == end {
        return change
      }
      // The ledger first: it wins.
      try repository.pins.record(id, pinned, repository.everything(), until: end)
      // What is known of a damaged or doubtful point is not put on record for the sake of a pin.
      if !current.isDamaged, current.brokenLink == nil, current.isAuthenticated { try repository.write(change.point) }
      return change
    }
  }

  private static func change(_ point: StoredPoint, _ pinned: Bool) throws -> PinChange {
    guard !point.archiveMissing else {
      throw HoldfastError(
        .pointNotFound, "the archive of \(point.id) is missing", hint: "holdfast list shows the points that are there")
    }
    var metadata = point.metadata
    metadata.pinned = pinned
    return PinChange(point: metadata, wasSo: point.metadata.pinned == pinned)
  }
}

extension Repository {
  var pins: PinLedger { PinLedger(folder: folder, files: files) }
}
