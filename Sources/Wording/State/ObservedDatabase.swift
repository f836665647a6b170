import BackupEngine
import BackupPolicy

/// One database as `status` sees it: its state, its backup folder and its agent.
package struct ObservedDatabase: Sendable {
  package var facts: StateFacts
  /// The path of the backup folder.
  package var folder: String
  /// The agent's answer about itself; nil if no agent answered.
  package var agent: JSONValue?

  package init(facts: StateFacts, folder: String, agent: JSONValue?) {
    (self.facts, self.folder, self.agent) = (facts, folder, agent)
  }

  /// When the agent that answered began; nil if no agent answered.
  package var agentStart: Timestamp? {
    guard case .object(let keys)? = agent else { return nil }
    return keys.time("started_at")
  }

  /// The agent and whether it answers.
  func agentText(_ times: Times) -> String? {
    switch facts.watch {
    case .nobody:
      return facts.isRepositoryAway
        ? "no agent of this user is running; the backup folder, which names other agents, is away"
        : "no agent is running"
    case .gone: return "no agent is running; the last one has ended"
    case .silent(let text): return "\(text) does not answer"
    case .deaf(let text): return "\(text) accepts no questions"
    case .events, .polls, .starting, .stopping:
      guard case .object(let keys)? = agent, case .integer(let process)? = keys["process"] else { return nil }
      return "process \(process)" + (agentStart.map { ", since \(times.of($0))" } ?? "")
    }
  }
}
