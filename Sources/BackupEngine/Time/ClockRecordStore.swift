import BackupPolicy

/// The file in this host's state folder that holds a ``ClockRecord``. It lies outside all repositories, so that nothing that
/// others write there says what time it is.
struct ClockRecordStore {
  let folder: String
  let files: any FileOperations

  private var path: String { "\(folder)/clock" }
  private static let limit = 1 << 16

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
      record.isConfirmed != old.isConfirmed || !isCovered(record.believed, old.believed)
        || !isCovered(record.doubt?.reading, old.doubt?.reading)
    else {
      return
    }
    // A command that only looks, or is refused, makes no folder; the first backup does.
    guard try files.status(folder) != nil else { return }
    // Without a flush: a loss of power costs some minutes of what was observed.
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
  /// Nil for what no clock shows, too: the record is damaged.
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

/// What becomes of a step that goes by the age of backups, if the clock is not believed (``ClockVerdict``).
package enum ClockReliance: Sendable {
  /// It counts ages up to the time that is believed: what a jump of the clock made old stays.
  case waiting
  /// It is refused, unless the doubt makes no difference to it.
  case refusing
  /// A person says that the clock is right; that is remembered.
  case trusting
}

extension BackupService {
  /// Judges the clock and remembers the judgement. Called before a backup is stored, too, so that what a wrong clock stamps does
  /// not speak for that clock later.
  ///
  /// - Returns: why the clock is not believed; nil if it is.
  @discardableResult
  package func noteClock() -> HoldfastError? {
    do {
      return try clockVerdict(.waiting).doubt.map(Self.doubtedClock)
    } catch {
      // Without the backups nothing can be said, and nothing is remembered.
      environment.logger.debug("this machine's clock cannot be compared with the backups: \(error)")
      return nil
    }
  }

  /// The same by what this host remembers alone, without a look at the backups.
  ///
  /// - Returns: nil if nothing is remembered since the machine was started.
  package func noteClockByRecord() -> (doubt: HoldfastError?, isKnown: Bool) {
    let (now, store) = (environment.clock(), clockRecords)
    guard let record = try? store.load(), let expected = record.believed?.expectedWall(at: now) else {
      return (nil, false)
    }
    guard record.isConfirmed || !ClockVerdict.agree(now.wall, expected) else { return (nil, false) }
    let verdict = ClockVerdict.judge(now, isSynchronized: false, record) { [] }
    remember(verdict.record, insteadOf: record)
    return (verdict.doubt.map(Self.doubtedClock), record.isConfirmed || verdict.doubt != nil)
  }

  /// Why the clock is not believed, without remembering anything.
  func clockDoubt() -> String? {
    try? judgeClock(try? clockRecords.load(), times()).doubt
  }

  /// - Parameter points: every point of the repository, if they were read already.
  func clockVerdict(_ reliance: ClockReliance, _ points: [StoredPoint]? = nil) throws -> ClockVerdict {
    let known: ClockRecord?
    do {
      known = try clockRecords.load()
    } catch {
      environment.logger.warning("what is remembered of this machine's clock cannot be read: \(error)")
      known = nil
    }
    let verdict =
      reliance == .trusting
      ? ClockVerdict.believing(environment.clock()) : try judgeClock(known, try points.map(Self.times) ?? times())
    if let known { remember(verdict.record, insteadOf: known) }
    return verdict
  }

  private func judgeClock(_ record: ClockRecord?, _ times: @autoclosure () throws -> [Timestamp]) rethrows
    -> ClockVerdict
  {
    try ClockVerdict.judge(
      environment.clock(), isSynchronized: environment.clockIsSynchronized(), record ?? ClockRecord(), backups: times)
  }

  private func times() throws -> [Timestamp] {
    guard try environment.files.status(folder) != nil else { return [] }
    return Self.times(try repository().points(warns: false))
  }

  /// Of the points that this host vouches for: a planted file must not say what time it is.
  private static func times(_ points: [StoredPoint]) -> [Timestamp] {
    points.filter { $0.isAuthenticated && !$0.isDamaged && !$0.archiveMissing }.map(\.metadata.created)
  }

  private var clockRecords: ClockRecordStore {
    ClockRecordStore(folder: environment.stateFolder, files: environment.files)
  }

  private func remember(_ record: ClockRecord, insteadOf known: ClockRecord) {
    do {
      try clockRecords.save(record, insteadOf: known)
    } catch {
      environment.logger.debug("the state of this machine's clock was not stored: \(error)")
    }
  }

  static func doubtedClock(_ reason: String) -> HoldfastError {
    HoldfastError(
      .refused, "\(reason); until it has run for a day like this, nothing is removed, merged or released by age",
      hint: "set the clock; if it is right, holdfast compact --trust-clock says so")
  }

  /// What a command says that would remove or merge more by the wall clock than by the time that is believed.
  static func refusedByClock(_ reason: String) -> HoldfastError {
    HoldfastError(
      .refused, "nothing was removed: \(reason), so the age of backups is not known",
      hint: "set the clock; if it is right, run the command again with --trust-clock")
  }
}
