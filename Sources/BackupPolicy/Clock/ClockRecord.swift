/// One reading of this machine's clocks.
package struct ClockReading: Hashable, Sendable {
  package var wall: Timestamp
  /// Milliseconds since the machine was started, of a clock that nobody sets and that counts on through sleep.
  package var elapsed: Int64
  /// Which start of the machine `elapsed` counts from; nil if the kernel does not tell.
  package var boot: String?

  package init(wall: Timestamp, elapsed: Int64, boot: String?) {
    self.wall = wall
    self.elapsed = elapsed
    self.boot = boot
  }
}

extension ClockReading {
  /// What the wall clock has to show at a later reading since the same start of the machine, if nobody set it; nil if the two
  /// cannot be compared.
  package func expectedWall(at later: ClockReading) -> Timestamp? {
    guard let boot, boot == later.boot, elapsed <= later.elapsed else { return nil }
    return Timestamp(milliseconds: wall.milliseconds.addingClamped(later.elapsed - elapsed))
  }
}

/// What this host remembers of its clocks from one run to the next.
package struct ClockRecord: Hashable, Sendable {
  /// A clock that is not believed, as it was read last.
  package struct Doubt: Hashable, Sendable {
    package var reading: ClockReading
    /// For how many milliseconds of a running machine the clock went on like this.
    package var observed: Int64

    package init(reading: ClockReading, observed: Int64) {
      self.reading = reading
      self.observed = observed
    }
  }

  /// The last reading that was believed.
  package var believed: ClockReading?
  /// Backups, a time server, an earlier start of the machine or a person spoke for it. One that nothing spoke against is
  /// compared with later readings, and does not speak for them.
  package var isConfirmed: Bool
  package var doubt: Doubt?

  package init(believed: ClockReading? = nil, isConfirmed: Bool = true, doubt: Doubt? = nil) {
    self.believed = believed
    self.isConfirmed = isConfirmed
    self.doubt = doubt
  }
}
