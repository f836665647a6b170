import BackupPolicy

/// The file in this host's state folder that holds a ``ClockRecord``. It lies outside all repositories, so that nothing that
/// others write there says what time it is.
struct ClockRecordStore {
  let folder: String
  let files: any FileOperations

  private var path: String { "\(folder)/clock" }
  private static let limit = 1 << 16
  /// A reading replaces the one before after so many milliseconds.
  private static let interval: Int64 = 60_000

  /// An empty record if there is none or it is damaged: then nothing is known, and nothing is believed for it.
  func load() throws -> ClockRecord {
    guard let bytes = try files.contents(path, limit: Self.limit), let json = JSONValue(parsing: bytes) else {
      return ClockRecord()
    }
    return ClockRecord(json)
  }

  /// Writes a record down, unless the one that is there says nearly the same.
  func save(_ record: ClockRecord, insteadOf old: ClockRecord) throws {
    guard
      record.isConfirmed != old.isConfirmed || !isRecent(record.believed, old.believed)
        || !isRecent(record.doubt?.reading, old.doubt?.reading)
    else {
      return
    }
    // A command that only looks, or is refused, makes no folder; the first backup does.
    guard try files.status(folder) != nil else { return }
    // Without a flush: a loss of power costs some minutes of what was observed.
    try files.replace(path, with: record.json.encoded(), durable: false)
  }

  private func isRecent(_ new: ClockReading?, _ old: ClockReading?) -> Bool {
    guard let new, let old else { return new == nil && old == nil }
    return new == old || new.boot == old.boot && (0..<Self.interval).contains(new.elapsed - old.elapsed)
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
  fileprivate init?(_ json: JSONValue) {
    guard case .object(let keys) = json, case .integer(let wall)? = keys["wall_ms"],
      case .integer(let elapsed)? = keys["elapsed_ms"]
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
