/// Decides when a target is listed before its regular check, because objects may be gone there.
///
/// An error alone never causes a list, or a store that often fails would be listed all the time.
package struct ContentDoubt: Hashable, Sendable {
  /// An object that should be there is missing or cut off.
  private var isCertain = false
  /// The first failure in a row.
  private var failingSince: Timestamp?

  /// Seconds of failures after which a store counts as having been away.
  package static let outage: Int64 = 600
  /// Seconds between two lists after outages.
  package static let pause: Int64 = 3600

  package init() {}

  /// - Parameter isAboutContent: an object or the whole store is missing, or an object is cut off.
  package mutating func recordFailure(isAboutContent: Bool, at now: Timestamp) {
    failingSince = min(failingSince ?? now, now)
    isCertain = isCertain || isAboutContent
  }

  /// A run has succeeded, or the target was listed.
  package mutating func clear() { self = ContentDoubt() }

  /// - Parameter listed: when the target was last listed completely.
  package func needsList(since listed: Timestamp?, now: Timestamp) -> Bool {
    if isCertain { return true }
    guard let failingSince, failingSince.adding(seconds: Self.outage) <= now else { return false }
    return listed.map { $0 > now || $0.adding(seconds: Self.pause) <= now } ?? true
  }
}
