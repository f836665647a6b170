import BackupPolicy

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
