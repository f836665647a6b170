import BackupEngine
import Logging
import ServiceLifecycle

/// The event loop as a service: its `run()` suspends until the loop's thread has ended. To be run once.
package struct AgentService: Service, CustomStringConvertible {
  package let description = "agent"
  private let configuration: AgentConfiguration
  /// Tests replace some of them before the agent runs.
  var parts: EventLoop.Parts

  /// - Parameters:
  ///   - control: what the caller talks to the agent through.
  ///   - reload: reads the configuration again; it may block. Nil: a request to reload is only logged.
  package init(
    _ configuration: AgentConfiguration, control: AgentControl, reload: (@Sendable () throws -> AgentConfiguration)?,
    logger: Logger
  ) {
    self.configuration = configuration
    parts = EventLoop.Parts(control: control, reload: reload, logger: logger)
  }

  /// A graceful shutdown lets running backups end; cancellation abandons them. Both return only when nothing runs any more.
  ///
  /// - Throws: `busy` where another agent guards one of the repositories.
  package func run() async throws {
    try await withGracefulShutdownHandler {
      try await withTaskCancellationHandler {
        try await runLoop()
      } onCancel: {
        parts.control.inbox.post(.cancel)
      }
    } onGracefulShutdown: {
      parts.control.inbox.post(.shutdown)
    }
  }

  private func runLoop() async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      do {
        let thread = try AgentThread("holdfast-agent") { [self] in
          continuation.resume(with: Result { try EventLoop(configuration, parts).run() })
        }
        thread.detach()
      } catch {
        continuation.resume(throwing: error)
      }
    }
  }
}
