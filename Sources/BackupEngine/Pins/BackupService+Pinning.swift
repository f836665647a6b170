import BackupPolicy

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
