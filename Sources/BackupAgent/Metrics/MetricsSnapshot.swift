import BackupEngine
import BackupPolicy
import Wording

/// The state of all databases at one moment, from which any thread can make the page of metrics.
struct MetricsSnapshot: Sendable {
  private let databases: [(status: DatabaseStatus, environment: EngineEnvironment)]
  private let messages: MessageCounts
  private let start: Timestamp
  private let now: Timestamp

  /// - Parameter start: when the agent began.
  init(
    _ databases: [(status: DatabaseStatus, environment: EngineEnvironment)], _ messages: MessageCounts,
    start: Timestamp, at now: Timestamp
  ) {
    (self.databases, self.messages, self.start, self.now) = (databases, messages, start, now)
  }

  /// Looks at the files of the databases, so it may block.
  func page() -> MetricsPage {
    let all = databases.compactMap { status, environment in
      StateFacts(status: status.json, isStopping: false, environment).map {
        MetricsPage.Database(facts: $0, counters: status.counters)
      }
    }
    return MetricsPage(all, messages, start: start, at: now)
  }
}

extension MetricsPage {
  /// - Parameter start: when the agent began; nil without an agent.
  package init(_ databases: [Database], _ messages: MessageCounts, start: Timestamp?, at now: Timestamp) {
    self.init(
      databases, messages, alarms: Alarm.allCases.map(\.rawValue), version: holdfastVersion, start: start, at: now)
  }
}
