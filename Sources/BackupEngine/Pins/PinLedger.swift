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

  /// What is said of points here; nothing of most.
  func entries() -> [PointID: Bool] {
    guard let bytes = try? files.contents(path, limit: Self.limit), case .object(let keys) = JSONValue(parsing: bytes)
    else { return [:] }
    func ids(_ key: String) -> [PointID] {
      guard case .array(let items)? = keys[key] else { return [] }
      return items.compactMap { if case .string(let text) = $0 { PointID(text) } else { nil } }
    }
    let unpinned = Dictionary(ids("unpinned").map { ($0, false) }, uniquingKeysWith: { first, _ in first })
    // A point on both lists stays.
    return unpinned.merging(ids("pinned").map { ($0, true) }) { $1 }
  }

  /// Replaces it, flushed. Needs the exclusive lock.
  ///
  /// - Parameter points: every point of the repository, with the pins that hold from now on.
  func write(_ points: some Sequence<PointMetadata>) throws {
    func list(_ belongs: (PointMetadata) -> Bool) -> JSONValue {
      .array(points.filter(belongs).map { .string($0.id.text) })
    }
    let keys = ["pinned": list(\.pinned), "unpinned": list { !$0.pinned && $0.isPinnedByType }]
    try files.replace(path, with: JSONValue.object(keys).encoded())
  }
}

extension PointMetadata {
  /// Unless somebody said otherwise.
  var isPinnedByType: Bool { backupType == BackupType.guard.rawValue }
}
