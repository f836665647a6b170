import ArgumentParser
import BackupAgent
import BackupEngine
import BackupPolicy
import Wording

/// `holdfast metrics`
struct Metrics: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print the metrics of every database for Prometheus.",
    discussion: """
      It asks the running agent; without one it prints what the backups and the files of the databases prove. With \
      the setting metrics_file, the agent writes the same lines to a file.

      Examples:
        holdfast metrics
        holdfast metrics --database shop
      """)

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    let (databases, _) = try DatabaseFacts.all(options)
    let start = databases.compactMap(\.observed.agentStart).min()
    let page = MetricsPage(
      databases.map { MetricsPage.Database(facts: $0.facts, counters: $0.counters) }, Self.messages(databases),
      start: start, at: SystemClock.now())
    let lines = page.text.split(separator: "\n").map(String.init)
    try options.console.show(.object(["text": .string(page.text)]), lines)
  }
  /// Of each agent once; it may guard several of the databases.
  private static func messages(_ databases: [DatabaseFacts]) -> MessageCounts {
    var agents: Set<JSONValue> = []
    var messages = MessageCounts()
    for case .object(let agent)? in databases.map(\.agent) where agents.insert(agent["process"] ?? .null).inserted {
      messages.add(MessageCounts(agent["messages"]))
    }
    return messages
  }
}
