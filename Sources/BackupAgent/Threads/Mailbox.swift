import Synchronization

/// Messages to a thread, in order.
final class Mailbox<Message: Sendable>: Sendable {
  let wakeUp: WakeUp
  private let messages = Mutex<[Message]>([])

  /// - Parameter blocking: whether the receiver sleeps in ``next()``; otherwise it polls ``wakeUp``.
  init(blocking: Bool) throws {
    wakeUp = try WakeUp(blocking: blocking)
  }

  func post(_ message: Message) {
    messages.withLock { $0.append(message) }
    wakeUp.signal()
  }

  /// Everything that has arrived, without waiting.
  func takeAll() -> [Message] {
    messages.withLock { messages in
      defer { messages.removeAll() }
      return messages
    }
  }

  /// The next message, for which the thread sleeps where there is none.
  func next() -> Message {
    while true {
      let message = messages.withLock { $0.isEmpty ? nil : $0.removeFirst() }
      if let message { return message }
      wakeUp.consume()
    }
  }
}
