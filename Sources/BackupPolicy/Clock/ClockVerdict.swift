/// Whether the wall clock is trusted, so that the age of a backup has a meaning.
///
/// If a clock jumps ahead, backups that are minutes old look hours or days old to the rules. So the
/// clock is trusted only
/// - if it agrees with the clock that counts since the machine was started, from an earlier trusted
///   reading on; or
/// - after a restart of the machine, if it shows a time at most ``usualPause`` (or twice the usual
///   pause between backups) after the newest backup or the last reading, or if a time server keeps
///   it; or
/// - if the machine has run for ``settlingTime`` since, with the clock continuing like this.
///
/// Until then ages are counted up to ``time``: the last trusted time plus the time observed since.
/// Backups stored later count as being in the future, so that their age decides nothing.
package struct ClockVerdict: Hashable, Sendable {
  /// The reason why the clock is not trusted, lower case, no full stop; nil if it is.
  package var doubt: String?
  /// The time from which ages are counted; never after the wall clock.
  package var time: Timestamp
  /// The record for the next run.
  package var record: ClockRecord

  /// Milliseconds that one clock may differ from the other.
  static let tolerance: Int64 = 60_000
  /// Milliseconds that a machine may be off without a doubt about its clock.
  static let usualPause: Int64 = 86_400_000
  /// Milliseconds of a running machine after which its clock is trusted in spite of the doubt.
  static let settlingTime: Int64 = 86_400_000
}

extension ClockVerdict {
  /// Whether two clocks show the same time.
  package static func agree(_ one: Timestamp, _ other: Timestamp) -> Bool {
    abs(one.distance(from: other)) <= tolerance
  }

  /// - Parameters:
  ///   - now: the clocks.
  ///   - isSynchronized: a time server keeps the wall clock, according to the kernel.
  ///   - record: this host's stored record.
  ///   - backups: the times of the authentic backups, in the order in which they were stored;
  ///     requested only if the record does not decide.
  package static func judge(
    _ now: ClockReading, isSynchronized: Bool, _ record: ClockRecord, backups: () throws -> [Timestamp]
  ) rethrows -> ClockVerdict {
    let expected = record.believed?.expectedWall(at: now)
    let agrees = expected.map { agree(now.wall, $0) } ?? false
    if agrees, record.isConfirmed { return believing(now) }
    let evidence = ClockEvidence(try backups())
    if let expected, !agrees, !evidence.outweighs(record) {
      return doubting(
        now, record, knownTime: expected,
        "the clock was set: it shows \(now.wall.iso8601), and by the time since the last run it would be \(expected.iso8601)"
      )
    }
    let known = [expected == nil ? record.believed?.wall : nil, evidence.newest].compactMap { $0 }
    guard !known.isEmpty else { return believing(now, isConfirmed: isSynchronized) }
    guard let last = known.filter({ now.wall.distance(from: $0) >= -tolerance }).max() else {
      return doubting(
        now, record, knownTime: now.wall,
        "the clock shows \(now.wall.iso8601), and holdfast ran or stored a backup at \(known.max()?.iso8601 ?? "")")
    }
    let pause = now.wall.distance(from: last)
    guard pause > evidence.allowedPause, !isSynchronized else {
      let isKnown = expected == nil && record.believed != nil && record.isConfirmed
      return believing(now, isConfirmed: isSynchronized || evidence.isEstablished || isKnown)
    }
    return doubting(
      now, record, knownTime: last,
      "the clock shows \(now.wall.iso8601), \(Words.distance(milliseconds: pause)) after the last run or backup, and no time server confirms it"
    )
  }

  /// A person confirms that the clock is right.
  package static func believing(_ now: ClockReading, isConfirmed: Bool = true) -> ClockVerdict {
    ClockVerdict(doubt: nil, time: now.wall, record: ClockRecord(believed: now, isConfirmed: isConfirmed))
  }

  private static func doubting(
    _ now: ClockReading, _ record: ClockRecord, knownTime: Timestamp, _ reason: String
  ) -> ClockVerdict {
    let observed = record.doubt?.observed(until: now) ?? 0
    guard observed < settlingTime else { return believing(now) }
    // In the same run of the machine the known time has advanced by itself.
    let isCounted = record.believed?.expectedWall(at: now) == knownTime
    let time = Timestamp(milliseconds: knownTime.milliseconds.addingClamped(isCounted ? 0 : observed))
    return ClockVerdict(
      doubt: reason, time: min(now.wall, time),
      record: ClockRecord(
        believed: record.believed, isConfirmed: record.isConfirmed,
        doubt: ClockRecord.Doubt(reading: now, observed: observed)))
  }
}

extension ClockRecord.Doubt {
  /// How long the clock has continued like this; 0 if it was set since.
  fileprivate func observed(until now: ClockReading) -> Int64 {
    if let expected = reading.expectedWall(at: now) {
      guard ClockVerdict.agree(now.wall, expected) else { return 0 }
      return observed.addingClamped(now.elapsed(since: reading))
    }
    // After a restart of the machine the time in between is unknown.
    return now.wall >= reading.wall ? observed : 0
  }
}

/// The evidence that the times of the backups give about the time of day.
struct ClockEvidence {
  /// The newest reliable time; nil if there is no reliable time.
  let newest: Timestamp?
  /// There are backups of more than one day, so that they support a clock that agrees with them.
  let isEstablished: Bool
  /// Milliseconds between two backups that are normal here.
  let allowedPause: Int64
  /// The backups behind ``newest`` continued for a day.
  private let newestIsEstablished: Bool

  /// Backups between which the clock did not jump.
  private struct Stretch {
    var first: Timestamp
    var last: Timestamp
    var isEstablished: Bool { last.distance(from: first) >= ClockVerdict.settlingTime }
  }

  /// - Parameter backups: in the order in which they were stored.
  init(_ backups: [Timestamp]) {
    allowedPause = Self.allowedPause(backups)
    let stretches = Self.stretches(backups, allowedPause)
    let newest = Self.reliable(stretches, allowedPause)
    self.newest = newest?.last
    newestIsEstablished = newest?.isEstablished ?? false
    isEstablished = stretches.count > 1 || newestIsEstablished
  }

  private static func stretches(_ backups: [Timestamp], _ allowedPause: Int64) -> [Stretch] {
    var stretches: [Stretch] = []
    for time in backups {
      if let last = stretches.last?.last,
        (-ClockVerdict.tolerance...allowedPause).contains(time.distance(from: last))
      {
        stretches[stretches.count - 1].last = time
      } else {
        stretches.append(Stretch(first: time, last: time))
      }
    }
    return stretches
  }

  /// The newest stretch that shows the time. Backups after a jump are evidence for the clock only
  /// if they continued for a day. Backups from before the clock continued at an earlier time are
  /// never evidence: then the clock had jumped ahead and was set back.
  private static func reliable(_ stretches: [Stretch], _ allowedPause: Int64) -> Stretch? {
    var relied: [Stretch] = []
    for stretch in stretches {
      if let before = relied.lastIndex(where: { stretch.first.distance(from: $0.last) >= -ClockVerdict.tolerance }) {
        relied.removeSubrange((before + 1)...)
        if stretch.first.distance(from: relied[before].last) <= allowedPause {
          relied[before].last = stretch.last
          continue
        }
      }
      if relied.isEmpty || stretch.isEstablished { relied.append(stretch) }
    }
    return relied.last
  }

  /// Twice the recent median pause, at least ``ClockVerdict/usualPause``. A backup that is later
  /// than one stored after it is ignored here: otherwise, repeated jumps would count as usual.
  private static func allowedPause(_ backups: [Timestamp]) -> Int64 {
    let recent = backups.suffix(50)
    var kept: [Timestamp] = []
    for time in recent.reversed() where time <= kept.last ?? time && time >= recent[recent.startIndex] {
      kept.append(time)
    }
    let pauses = zip(kept, kept.dropFirst()).map { $0.distance(from: $1) }.sorted()
    guard pauses.count > 2 else { return ClockVerdict.usualPause }
    return max(ClockVerdict.usualPause, pauses[(pauses.count - 1) / 2].multipliedClamped(by: 2))
  }

  /// Whether the backups count for more than a reading, because the reading was never confirmed, or
  /// came from a clock that started again long before them.
  func outweighs(_ record: ClockRecord) -> Bool {
    guard let reading = record.believed, let newest else { return false }
    if !record.isConfirmed, isEstablished { return true }
    return newestIsEstablished && reading.wall.distance(from: newest) < -ClockVerdict.usualPause
  }
}

extension Timestamp {
  /// Milliseconds since another time; negative if that is later.
  func distance(from other: Timestamp) -> Int64 {
    let (distance, overflow) = milliseconds.subtractingReportingOverflow(other.milliseconds)
    return overflow ? (self > other ? .max : .min + 1) : max(distance, .min + 1)
  }
}

/// One reading of this machine's clocks.
package struct ClockReading: Hashable, Sendable {
  package var wall: Timestamp
  /// Milliseconds since the machine was started, from a clock that cannot be set and that also
  /// counts during sleep.
  package var elapsed: Int64
  /// The start of the machine from which `elapsed` counts; nil if the kernel does not name it.
  package var boot: String?

  package init(wall: Timestamp, elapsed: Int64, boot: String?) {
    self.wall = wall
    self.elapsed = elapsed
    self.boot = boot
  }
}

extension ClockReading {
  /// The time that the wall clock has to show at a later reading since the same start of the
  /// machine, if it was not set; nil if the two cannot be compared. If the kernel does not name the
  /// start (some containers, systemd's ProcSubset=pid), an increasing count is assumed to be the
  /// same one: at worst this causes a doubt that ends by itself.
  package func expectedWall(at later: ClockReading) -> Timestamp? {
    guard boot == later.boot, elapsed <= later.elapsed else { return nil }
    return Timestamp(milliseconds: wall.milliseconds.addingClamped(later.elapsed(since: self)))
  }

  /// Milliseconds since an earlier reading of the same start.
  func elapsed(since earlier: ClockReading) -> Int64 {
    let (difference, overflow) = elapsed.subtractingReportingOverflow(earlier.elapsed)
    return overflow ? (elapsed < earlier.elapsed ? .min : .max) : difference
  }

  /// Whether this reading need not be stored because a stored reading of less than a minute before
  /// covers it.
  package func isCovered(by stored: ClockReading) -> Bool {
    guard self != stored else { return true }
    guard let expected = stored.expectedWall(at: self), elapsed(since: stored) < 60_000 else { return false }
    return ClockVerdict.agree(wall, expected)
  }
}

/// This host's record of its clocks from one run to the next.
package struct ClockRecord: Hashable, Sendable {
  /// The last reading of a clock that is not trusted.
  package struct Doubt: Hashable, Sendable {
    package var reading: ClockReading
    /// Milliseconds of a running machine for which the clock has continued like this.
    package var observed: Int64

    package init(reading: ClockReading, observed: Int64) {
      self.reading = reading
      self.observed = observed
    }
  }

  /// The last trusted reading.
  package var believed: ClockReading?
  /// Backups, a time server, an earlier start of the machine or a person confirmed it. A reading
  /// that was only not contradicted is compared with later readings, but does not confirm them.
  package var isConfirmed: Bool
  package var doubt: Doubt?

  package init(believed: ClockReading? = nil, isConfirmed: Bool = true, doubt: Doubt? = nil) {
    self.believed = believed
    self.isConfirmed = isConfirmed
    self.doubt = doubt
  }
}
