import CCurl
import Glibc
import Synchronization

/// Performs HTTP exchanges on one thread with libcurl, for callers that block.
///
/// The thread starts with the first exchange. Without an exchange it sleeps in a condition and not
/// in poll; after ``idleLimit`` it also closes its connections and releases its caches, and then
/// sleeps without an end.
package final class TransferLoop: Sendable {
  private enum State {
    case unused
    case running(pthread_t)
    case stopped
  }

  private let queue = TransferQueue()
  private let state = Mutex(State.unused)
  private let start: TransferThread.Start

  /// - Parameters:
  ///   - limits: of all exchanges together.
  ///   - idleLimit: milliseconds without an exchange after which connections are closed.
  ///   - name: of the thread, at most 15 bytes.
  package init(limits: TransferLimits = TransferLimits(), idleLimit: Int64 = 60_000, name: String = "transfer") {
    start = TransferThread.Start(queue: queue, limits: limits, idleLimit: idleLimit, name: name)
  }

  deinit { stop() }

  /// A client whose exchanges share this loop's thread, connections and bandwidth.
  package func client(_ settings: TransferSettings) -> TransferClient { TransferClient(loop: self, settings: settings) }

  /// Performs an exchange and blocks until it is over. Redirects are answers like any others.
  ///
  /// The time limit of the request begins when a connection is free for it.
  package func perform(
    _ request: HTTPRequest, into sink: HTTPSink, _ settings: TransferSettings
  ) throws(TransferError) -> HTTPResponse {
    let response = try attempt(request, into: sink, settings)
    // The server does not know `Expect: 100-continue`, and the body was not sent.
    guard response.status == 417, settings.continueTimeout > 0 else { return response }
    var settings = settings
    settings.continueTimeout = 0
    return try attempt(request, into: sink, settings)
  }

  private func attempt(
    _ request: HTTPRequest, into sink: HTTPSink, _ settings: TransferSettings
  ) throws(TransferError) -> HTTPResponse {
    try startThread()
    let exchange = Exchange(request, into: sink, settings)
    guard queue.add(exchange) else { throw .stopped }
    return try exchange.waitForResult()
  }

  /// Whether it performs no exchange any more.
  package var isStopped: Bool { queue.isStopped }

  /// Cancels all exchanges and ends the thread; later exchanges fail as `cancelled`. Idempotent.
  package func stop() {
    state.withLock { state in
      queue.stop()
      if case .running(let thread) = state { pthread_join(thread, nil) }
      state = .stopped
    }
  }

  private func startThread() throws(TransferError) {
    let failure = state.withLock { state -> TransferError? in
      switch state {
      case .running: return nil
      case .stopped: return .stopped
      case .unused: break
      }
      switch start.run() {
      case .success(let thread): state = .running(thread)
      case .failure(let error): return error
      }
      return nil
    }
    if let failure { throw failure }
  }
}

/// The exchanges with one server, or with servers of the same settings.
package struct TransferClient: HTTPClient {
  package let loop: TransferLoop
  package let settings: TransferSettings

  package func perform(_ request: HTTPRequest, into sink: HTTPSink) throws(TransferError) -> HTTPResponse {
    try loop.perform(request, into: sink, settings)
  }
}

extension TransferError {
  static var stopped: TransferError { TransferError(.cancelled, "the transfer was stopped") }
}
