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

extension Repository {
  var pins: PinLedger { PinLedger(folder: folder, files: files) }
}
