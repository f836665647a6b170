import Synchronization

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

  /// Nothing of it runs any more, or ever will.
  func end() {
    let (beginning, end) = content.withLock { content in
      content.hasEnded = true
      defer { (content.awaitingBeginning, content.awaitingEnd) = ([], []) }
      return (content.awaitingBeginning, content.awaitingEnd)
    }
    for continuation in beginning { continuation.resume(returning: false) }
    for continuation in end { continuation.resume() }
  }

  /// Waits for the beginning; false where the end comes without one.
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
