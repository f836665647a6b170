import Synchronization

/// Talks to a running agent from any thread or task, on behalf of a signal or of the program that
/// the agent is a part of.
///
/// It exists before the agent, and ``AgentService`` gets it. Requests that come before the agent runs
/// are kept until then; those that come after its end are dropped.
package final class AgentControl: Sendable {
  let inbox: Mailbox<LoopMessage>
  /// Ended by the code that runs the agent.
  let lifetime = AgentLifetime()
  /// Whether the loop still answers.
  private let isOpen = Mutex(false)

  /// - Throws: if the system has no descriptor left.
  package init() throws {
    inbox = try Mailbox(blocking: false)
  }

  /// Backs up now, whether or not anything has changed.
  ///
  /// - Parameter database: the name of the only one to back up; nil for all.
  package func backUpNow(_ database: String? = nil) {
    inbox.post(.backUp(database))
  }

  /// Reads the configuration again, as SIGHUP does.
  package func reload() {
    inbox.post(.reload)
  }

  /// The state of each database; empty if the agent does not run.
  package func status() async -> [DatabaseStatus] {
    await withCheckedContinuation { continuation in
      let asked = isOpen.withLock { isOpen in
        // Under the lock, or the loop could end between the look and the question, and nobody would
        // answer.
        if isOpen { inbox.post(.status(continuation)) }
        return isOpen
      }
      if !asked { continuation.resume(returning: []) }
    }
  }

  /// The loop answers from now on.
  func open() {
    isOpen.withLock { $0 = true }
    lifetime.begin()
  }

  /// The loop has ended: those that still wait get an answer.
  func close() {
    isOpen.withLock { $0 = false }
    for case .status(let continuation) in inbox.removeAll() { continuation.resume(returning: []) }
  }
}

/// Lets tasks wait for the beginning and the end of an agent's one run.
final class AgentLifetime: Sendable {
  private struct Content {
    var hasBegun = false
    var hasEnded = false
    var awaitingBeginning: [CheckedContinuation<Bool, Never>] = []
    var awaitingEnd: [CheckedContinuation<Void, Never>] = []
  }

  private let content = Mutex(Content())

  /// The agent watches and answers.
  func begin() {
    let waiting = content.withLock { content in
      content.hasBegun = true
      defer { content.awaitingBeginning = [] }
      return content.awaitingBeginning
    }
    for continuation in waiting { continuation.resume(returning: true) }
  }

  /// The agent has ended, or will never begin.
  func end() {
    let (beginning, end) = content.withLock { content in
      content.hasEnded = true
      defer { (content.awaitingBeginning, content.awaitingEnd) = ([], []) }
      return (content.awaitingBeginning, content.awaitingEnd)
    }
    for continuation in beginning { continuation.resume(returning: false) }
    for continuation in end { continuation.resume() }
  }

  /// Waits for the beginning.
  ///
  /// - Returns: false if the agent ended without one.
  func hasBegun() async -> Bool {
    await withCheckedContinuation { continuation in
      let known: Bool? = content.withLock { content in
        if content.hasBegun { return true }
        if content.hasEnded { return false }
        content.awaitingBeginning.append(continuation)
        return nil
      }
      if let known { continuation.resume(returning: known) }
    }
  }

  /// Waits for the end.
  func hasEnded() async {
    await withCheckedContinuation { continuation in
      let isKnown = content.withLock { content in
        if !content.hasEnded { content.awaitingEnd.append(continuation) }
        return content.hasEnded
      }
      if isKnown { continuation.resume() }
    }
  }
}
