import BackupAgent
import BackupEngine
import BackupPolicy
import Replication

/// A command's questions to the agent of one database about its targets.
struct TargetDialogue {
  private let engine: Engine

  init(_ engine: Engine) { self.engine = engine }

  /// Nil without an agent, or if this user may not ask it.
  private func agent() -> ControlClient? {
    do {
      switch try ControlClient.find(for: engine) {
      case .answering(let client): return client
      case .silent: return nil
      case .deaf: return nil
      case .gone: return nil
      case .nobody: return nil
      }
    } catch {
      return nil
    }
  }

  /// When the agent tries again, for each target that failed. Without an agent it is empty.
  func nextTries() -> [String: Timestamp] {
    guard var client = agent(),
      let answer = try? client.ask(
        ControlRequest(.status, database: engine.folder.resolvingLinks), timeout: AgentAnswers.patience),
      case .array(let databases)? = answer["databases"], case .object(let keys)? = databases.first,
      case .array(let targets)? = keys["targets"]
    else { return [:] }
    var tries: [String: Timestamp] = [:]
    for target in targets {
      guard case .object(let keys) = target, case .string(let name)? = keys["name"],
        case .string(let text)? = keys["next_try"]
      else { continue }
      tries[name] = Timestamp(iso8601: text)
    }
    return tries
  }

  /// A copy may take hours, so its answer is waited for without a limit. An agent that hangs is found
  /// out before.
  ///
  /// - Throws: `busy` if the agent does not answer.
  private func requireAnswer() throws {
    guard var client = agent() else { return }
    _ = try client.ask(ControlRequest(.status), timeout: AgentAnswers.patience)
  }

  /// Lets the agent copy to a target now, and waits for the end of that.
  ///
  /// - Returns: nil if no agent copies to this target, or if it cannot be asked.
  /// - Throws: the agent's failure.
  func sync(_ target: Target, _ progress: Progress) throws -> ReplicationOutcome? {
    guard var client = agent() else { return nil }
    try requireAnswer()
    let request = ControlRequest(
      .sync(target: target.name, address: target.address), database: engine.folder.resolvingLinks)
    let answer: JSONObject
    do {
      answer = try client.ask(request, timeout: nil, progress)
    } catch let error as HoldfastError where error.code == .usage || error.code == .refused {
      // It guards other databases, does not know the target, is of an earlier version, or is stopping.
      return nil
    }
    guard case .array(let databases)? = answer["databases"], case .object(let keys)? = databases.first else {
      return nil
    }
    guard let error = HoldfastError(controlJSON: keys["error"]) else { return RunAnswer.outcome(keys) }
    if error.code == .usage || error.code == .refused { return nil }
    throw error
  }
}
