import BackupPolicy

/// How a step that depends on the age of backups proceeds if the clock is not believed
/// (``ClockVerdict``).
package enum ClockReliance: Sendable {
  /// It counts ages up to the believed time: backups that look old only because the clock jumped
  /// stay.
  case waiting
  /// It is refused, unless the doubt makes no difference to it.
  case refusing
  /// A person confirms that the clock is right; that is recorded.
  case trusting
}

extension Engine {
  /// Judges the clock and records the verdict. Also called before a backup is stored, so that the
  /// timestamp of a wrong clock cannot support that clock later.
  ///
  /// - Returns: the reason to doubt the clock; nil if it is believed.
  @discardableResult
  package func recordClock() -> HoldfastError? {
    do {
      return try judgeClock()
    } catch {
      // Without the backups no verdict is possible, and nothing is recorded.
      environment.logger.debug("this machine's clock cannot be compared with the backups: \(error)")
      return nil
    }
  }

  /// Judges the clock by the backups and this host's record, and records the judgement.
  ///
  /// - Returns: the reason to doubt the clock; nil if it is believed.
  /// - Throws: if the backups cannot be listed; then nothing is recorded.
  package func judgeClock() throws -> HoldfastError? { try clockVerdict(.waiting).doubt.map(Self.doubtedClock) }

  /// The same judgement from this host's record alone, without reading the backups.
  ///
  /// - Returns: nil if nothing was recorded since the machine was started.
  package func recordClockByRecord() -> (doubt: HoldfastError?, isKnown: Bool) {
    let (now, store) = (environment.clock(), clockRecords)
    guard let record = try? store.load(), let expected = record.believed?.expectedWall(at: now) else {
      return (nil, false)
    }
    guard record.isConfirmed || !ClockVerdict.agree(now.wall, expected) else { return (nil, false) }
    let verdict = ClockVerdict.judge(now, isSynchronized: false, record) { [] }
    remember(verdict.record, insteadOf: record)
    return (verdict.doubt.map(Self.doubtedClock), record.isConfirmed || verdict.doubt != nil)
  }

  /// The reason to doubt the clock, without recording anything.
  func clockDoubt() -> String? {
    try? judgeClock(try? clockRecords.load(), times()).doubt
  }

  /// - Parameter points: every backup of the repository, if they were already read.
  func clockVerdict(_ reliance: ClockReliance, _ points: [StoredPoint]? = nil) throws -> ClockVerdict {
    let known: ClockRecord?
    do {
      known = try clockRecords.load()
    } catch {
      environment.logger.warning("cannot read the record of this machine's clock: \(error)")
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

  /// Of the backups that are authenticated: a planted file must not determine the time.
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
      .refused,
      "\(reason); until it has run consistently for a day, no backup is removed, compacted or released by age",
      hint: "set the clock; if it is right, confirm it with holdfast compact --trust-clock")
  }

  /// The error of a command that would remove or merge more by the wall clock than by the believed
  /// time.
  static func refusedByClock(_ reason: String) -> HoldfastError {
    HoldfastError(
      .refused, "nothing was removed: \(reason), so the age of backups is not known",
      hint: "set the clock; if it is right, run the command again with --trust-clock")
  }
}
