import BackupEngine
import Logging
import ServiceLifecycle

/// The event loop as a service: its `run()` suspends until the loop's thread has ended.
package struct AgentService: Service, CustomStringConvertible {
  package let description = "agent"
  private let service: BackupService
  private let settings: AgentSettings
  private let logger: Logger
  private let inbox: Mailbox<LoopMessage>

  /// - Throws: where the system is out of descriptors.
  package init(_ service: BackupService, _ settings: AgentSettings, _ logger: Logger) throws {
    self.service = service
    self.settings = settings
    self.logger = logger
    inbox = try Mailbox(blocking: false)
  }

  /// A graceful shutdown lets a running backup end; cancellation abandons it. Both return only when nothing runs any more.
  package func run() async throws {
    try await withGracefulShutdownHandler {
      try await withTaskCancellationHandler {
        try await runLoop()
      } onCancel: {
        inbox.post(.cancel)
      }
    } onGracefulShutdown: {
      inbox.post(.shutdown)
    }
  }

  private func runLoop() async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      do {
        let thread = try AgentThread("holdfast-agent") { [self] in
          continuation.resume(with: Result { try EventLoop(service, settings, logger, inbox).run() })
        }
        thread.detach()
      } catch {
        continuation.resume(throwing: error)
      }
    }
  }
}
