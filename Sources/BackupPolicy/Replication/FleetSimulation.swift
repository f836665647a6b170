/// Many devices that send their backups to one bucket, through one day of virtual time: the requests
/// of each second, also after an outage of the store.
package struct FleetSimulation: Hashable, Sendable {
  package struct Settings: Hashable, Sendable {
    package var devices: Int
    /// Seconds between two changes of a device.
    package var changeEvery: Int64 = 60
    /// Seconds of work on a day, the same for all devices.
    package var work: Int64 = 8 * 3600
    /// Seconds between two puts of a device; 0: every change is put.
    package var interval: Int64 = 0
    /// Bytes of a full and of a change.
    package var fullBytes: Int64 = 8_000_000
    package var changeBytes: Int64 = 8_000
    /// Days between two fulls, and the number of fulls that are kept.
    package var fullEvery = 7
    package var fullsKept = 5
    /// Seconds of the day in which the store answers nothing.
    package var outage: Range<Int64>?
    /// Seconds over which the devices spread their first request after an outage.
    package var spread: Int64 = 60

    package init(devices: Int) {
      self.devices = devices
    }
  }

  package let settings: Settings
  /// By second of the day, and a day more: puts that the store accepted.
  package private(set) var puts: [Int]

  private static let day: Int64 = 86400

  package init(_ settings: Settings) {
    self.settings = settings
    puts = Array(repeating: 0, count: Int(2 * Self.day))
    for device in 0..<max(0, settings.devices) { live(UInt64(device)) }
  }

  /// One device: the first change after a pause is put at once, then at most one an interval.
  private mutating func live(_ device: UInt64) {
    let every = max(1, settings.changeEvery)
    var change = Int64(Self.mixed(device) % UInt64(every))
    var free: Int64 = 0
    while change < settings.work {
      let time = accepted(at: max(change, free), device)
      guard time < puts.count else { return }
      puts[Int(time)] += 1
      free = time.addingClamped(max(0, settings.interval))
      // All changes until then are in this put.
      change += max(1, (time - change) / every + 1) * every
    }
  }

  /// The time at which the store accepts a request that is due. After an outage each device waits
  /// for a time of its own, always the same, so that they do not come together.
  private func accepted(at time: Int64, _ device: UInt64) -> Int64 {
    guard let outage = settings.outage, outage.contains(time) else { return time }
    return outage.upperBound + Int64(Self.mixed(device &+ 0x5851_F42D_4C95_7F2D) % UInt64(max(1, settings.spread)))
  }

  /// SplitMix64: numbers that look independent, always the same for the same device.
  private static func mixed(_ number: UInt64) -> UInt64 {
    var mixed = (number &+ 1) &* 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

extension FleetSimulation {
  /// Of the day.
  package var putsOfDay: Int { puts.reduce(0, +) }

  /// The largest number of puts in one second, in some seconds of the day.
  package func peak(_ seconds: Range<Int64>) -> Int {
    let range = seconds.clamped(to: 0..<Int64(puts.count))
    return puts[Int(range.lowerBound)..<Int(range.upperBound)].max() ?? 0
  }

  /// The seconds in which the devices come back after the outage.
  package var recovery: Range<Int64>? {
    settings.outage.map { $0.upperBound..<$0.upperBound + max(1, settings.spread) }
  }

  /// Of a month of 30 such days: the puts, the looks at the next writer record and at archives of the
  /// chain before them, and one list a day for the check.
  package var requestsOfMonth: RequestCount {
    let devices = Int64(max(0, settings.devices))
    let puts = Int64(putsOfDay) * 30 + devices * 30 / Int64(max(1, settings.fullEvery))
    // A look is good for all puts within its time.
    let putsOfLook = WriterPolicy.lookAge / max(1, settings.interval, settings.changeEvery) + 1
    return RequestCount(puts: puts, gets: puts / putsOfLook * Self.readsOfLook, lists: devices * 30)
  }

  /// The next writer record, and as many archives as ``ChainAudit`` asks for.
  private static let readsOfLook: Int64 = 4

  /// At the end of a month: the kept fulls, and the changes of the month.
  package var storedBytes: Int64 {
    let fulls = Int64(max(0, settings.devices)).multipliedClamped(by: Int64(settings.fullsKept))
    return fulls.multipliedClamped(by: settings.fullBytes)
      .addingClamped((Int64(putsOfDay) * 30).multipliedClamped(by: settings.changeBytes))
  }

  package var objects: Int64 {
    Int64(max(0, settings.devices)) * Int64(settings.fullsKept) + Int64(putsOfDay) * 30
  }
}
