import Notifications

/// Where the agent sends messages and signs of life.
package struct NotificationSetup: Sendable, Hashable {
  /// With unique names.
  package var channels: [Channel]
  package var heartbeat: Heartbeat?

  package init(channels: [Channel] = [], heartbeat: Heartbeat? = nil) {
    (self.channels, self.heartbeat) = (channels, heartbeat)
  }

  var isEmpty: Bool { channels.isEmpty && heartbeat == nil }
}
