import BackupEngine
import BackupPolicy
import Wording

/// The state of all databases at one moment, from which any thread can make the page of metrics.
struct MetricsSnapshot: Sendable {
  private let databases: [(status: DatabaseStatus, environment: EngineEnvironment)]
  private let messages: MessageCounts
  /// The number of databases that match a pattern and are not backed up.
  private let refused: Int
  private let start: Timestamp
  private let now: Timestamp

  /// - Parameter start: when the agent began.
  init(
    _ databases: [(status: DatabaseStatus, environment: EngineEnvironment)], _ messages: MessageCounts, refused: Int,
    start: Timestamp, at now: Timestamp
  ) {
    (self.databases, self.messages, self.refused) = (databases, messages, refused)
    (self.start, self.now) = (start, now)
  }

  /// Looks at the files of the databases, so it may block.
  func page() -> MetricsPage {
    let all = databases.compactMap { status, environment in
      StateFacts(status: status.json, isStopping: false, environment).map {
        MetricsPage.Database(facts: $0, counters: status.counters)
      }
    }
    return MetricsPage(all, messages, refused: refused, start: start, at: now)
  }
}

extension MetricsPage {
  /// - Parameter start: when the agent began; nil without an agent.
  package init(
    _ databases: [Database], _ messages: MessageCounts, refused: Int = 0, start: Timestamp?, at now: Timestamp
  ) {
    self.init(
      databases, messages, alarms: Alarm.allCases.map(\.rawValue), refused: refused, version: holdfastVersion,
      start: start, at: now)
  }
}
