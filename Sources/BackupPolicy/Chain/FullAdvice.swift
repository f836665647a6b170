/// That the newest chain should end: a full would serve better from here on.
package struct FullAdvice: Hashable, Sendable {
  package enum Urgency: Hashable, Sendable {
    /// It reads the whole database, so it waits until nobody writes, or for the next scheduled one.
    case whenQuiet
    /// The chain must not grow without bound beside somebody who never pauses.
    case soon
  }

  package var urgency: Urgency
  /// The full at the head of the chain.
  package var chain: PointID
  /// Lower case, no full stop.
  package var reason: String

  package init(_ urgency: Urgency, chain: PointID, reason: String) {
    self.urgency = urgency
    self.chain = chain
    self.reason = reason
  }

  /// Milliseconds without a change after which a database counts as quiet: ten times what a burst of changes lasts at most
  /// before it is backed up, so that the end of a burst is not taken for the end of the work; and a minute at least, for
  /// reading a whole database must not follow upon every pause between two clicks.
  package static func quiet(maxDelay: Int64) -> Int64 {
    max(60_000, maxDelay.multipliedClamped(by: 10))
  }

  /// Milliseconds: a scheduled run that comes within this time makes the full that a quiet time would.
  package static let nearRun: Int64 = 3_600_000
}
