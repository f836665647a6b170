/// Counts of the messages by each channel since the agent began.
package struct MessageCounts: Hashable, Sendable {
  package enum Outcome: String, Hashable, Sendable, CaseIterable {
    case accepted
    /// An attempt that the other side did not accept, or that did not reach it.
    case failed
  }

  /// By the name of the channel.
  package private(set) var channels: [String: [Outcome: Int64]]

  package init(_ channels: [String: [Outcome: Int64]] = [:]) { self.channels = channels }

  /// A channel is in use: its counts begin at zero, so that an alert never waits for a count to
  /// appear.
  package mutating func begin(_ channel: String) { channels[channel, default: [:]][.accepted, default: 0] += 0 }

  package mutating func record(_ outcome: Outcome, by channel: String) {
    channels[channel, default: [:]][outcome, default: 0] += 1
  }

  /// Adds the counts of another agent.
  package mutating func add(_ other: MessageCounts) {
    channels.merge(other.channels) { $0.merging($1) { $0.addingClamped($1) } }
  }
}
