import ServiceLifecycle
import UnixSignals

/// SIGHUP reads the configuration again, SIGUSR1 backs up now.
struct SignalService: Service, CustomStringConvertible {
  let description = "signals"
  private let signals: UnixSignalsSequence
  private let control: AgentControl

  /// Traps the signals at once: untrapped they would end the process.
  init(_ control: AgentControl) async {
    self.control = control
    signals = await UnixSignalsSequence(trapping: .sighup, .sigusr1)
  }

  func run() async throws {
    // Not `cancelOnGracefulShutdown()`: that starts a task on Swift's pool (see ``ThreadExecutor``).
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await listen() }
      group.addTask { try await gracefulShutdown() }
      try await group.next()
      group.cancelAll()
    }
  }

  private func listen() async {
    for await signal in signals {
      if signal == .sighup { control.reload() } else { control.backUpNow() }
    }
  }
}
