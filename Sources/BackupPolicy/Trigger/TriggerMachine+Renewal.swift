/// The full that nobody asked for: it ends a chain that has become heavy, without any change waiting for it.
///
/// It is work that the agent gives itself, so it keeps to every pause that a change keeps to: the floor between two backups, the
/// one after failures, the rest after a comparison. And to the quiet hours, in which no change is stored either, so that the
/// chain does not grow meanwhile.
extension TriggerMachine {
  /// The advice, where fulls are taken by themselves.
  var renewable: FullAdvice? { settings.mode == .schedule || run != nil ? nil : advice }

  func obstacle(to advice: FullAdvice) -> Obstacle? {
    if let quietHours { return quietHours }
    let quiet = Pause(until: quietSince.addingClamped(settings.quiet), reason: "a quiet time, for a full")
    let pause = lastPause(advice.urgency == .soon ? Pause(until: .min, reason: "nothing") : quiet)
    if pause.until > now.monotonic { return Obstacle(until: Deadline(monotonic: pause.until), reason: pause.reason) }
    return advice.urgency == .soon ? nil : nearFull
  }

  private var quietSince: Int64 { lastChange ?? advisedSince }

  /// A scheduled run is a full anyway.
  private var nearFull: Obstacle? {
    guard let upcoming = book.upcoming, upcoming.milliseconds - now.wall.milliseconds < FullAdvice.nearRun else {
      return nil
    }
    let time = Words.time(upcoming, in: settings.zone, seenFrom: now.wall)
    return Obstacle(until: Deadline(wall: upcoming), reason: "the run of \(time), which will be a full")
  }

  /// What it is taken for; nil where none is due.
  ///
  /// - Parameter urgency: the least urgent kind that counts.
  func dueRenewal(_ urgencies: Set<FullAdvice.Urgency>) -> FullAdvice? {
    guard let advice = renewable, urgencies.contains(advice.urgency), obstacle(to: advice) == nil else { return nil }
    return advice
  }
}

extension FullAdvice {
  /// Why a full is taken now.
  func words(_ settings: TriggerSettings) -> String {
    switch urgency {
    case .whenQuiet: "a full after \(Words.duration(milliseconds: settings.quiet)) of quiet: \(reason)"
    case .soon: "a full, for it cannot wait for a quiet time any longer: \(reason)"
    }
  }
}

extension TriggerSettings {
  fileprivate var quiet: Int64 { FullAdvice.quiet(maxDelay: maxDelay) }
}

extension Deadline {
  /// Whichever comes first, by each clock.
  func earlier(_ other: Deadline) -> Deadline {
    Deadline(
      monotonic: [monotonic, other.monotonic].compactMap { $0 }.min(), wall: [wall, other.wall].compactMap { $0 }.min())
  }
}
