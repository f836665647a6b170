import BackupPolicy

/// The file in this host's state folder that holds a ``ClockRecord``. It is outside all
/// repositories, so that other users' writes there cannot influence the believed time.
struct ClockRecordStore {
  let folder: String
  let files: any FileOperations

  private var path: String { "\(folder)/clock" }
  private static let limit = 1 << 16

  /// Returns an empty record if the file is missing or damaged: then nothing is known, and nothing
  /// is believed because of it.
  func load() throws -> ClockRecord {
    guard let bytes = try files.contents(path, limit: Self.limit), let json = JSONValue(parsing: bytes) else {
      return ClockRecord()
    }
    return ClockRecord(json)
  }

  /// Saves a record, unless the stored one is nearly the same.
  func save(_ record: ClockRecord, insteadOf old: ClockRecord) throws {
    guard
      record.isConfirmed != old.isConfirmed || !isCovered(record.believed, old.believed)
        || !isCovered(record.doubt?.reading, old.doubt?.reading)
    else {
      return
    }
    // A command that only reads, or is refused, creates no folder; the first backup does.
    guard try files.status(folder) != nil else { return }
    // Without a flush: a power loss costs some minutes of observations.
    try files.replace(path, with: record.json.encoded(), durable: false)
  }

  private func isCovered(_ new: ClockReading?, _ old: ClockReading?) -> Bool {
    guard let new, let old else { return new == nil && old == nil }
    return new.isCovered(by: old)
  }
}

extension ClockRecord {
  fileprivate init(_ json: JSONValue) {
    self.init()
    guard case .object(let keys) = json else { return }
    believed = keys["believed"].flatMap { ClockReading($0) }
    isConfirmed = keys["confirmed"] == .bool(true)
    if case .object(let doubt)? = keys["doubt"], let reading = doubt["reading"].flatMap({ ClockReading($0) }),
      case .integer(let observed)? = doubt["observed_ms"], observed >= 0
    {
      self.doubt = Doubt(reading: reading, observed: observed)
    }
  }

  fileprivate var json: JSONValue {
    var keys: JSONObject = [:]
    if let believed { keys["believed"] = believed.json }
    keys["confirmed"] = .bool(isConfirmed)
    if let doubt {
      keys["doubt"] = .object(["reading": doubt.reading.json, "observed_ms": .integer(doubt.observed)])
    }
    return .object(keys)
  }
}

extension ClockReading {
  /// Nil also for values that no clock shows: then the record is damaged.
  fileprivate init?(_ json: JSONValue) {
    guard case .object(let keys) = json, case .integer(let wall)? = keys["wall_ms"],
      case .integer(let elapsed)? = keys["elapsed_ms"],
      (0...Timestamp.ofClocks.upperBound.milliseconds).contains(elapsed),
      Timestamp.ofClocks.contains(Timestamp(milliseconds: wall))
    else { return nil }
    self.init(wall: Timestamp(milliseconds: wall), elapsed: elapsed, boot: nil)
    if case .string(let boot)? = keys["boot_id"] { self.boot = boot }
  }

  fileprivate var json: JSONValue {
    .object([
      "wall_ms": .integer(wall.milliseconds), "elapsed_ms": .integer(elapsed), "boot_id": .optional(boot),
    ])
  }
}
