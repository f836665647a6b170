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
    for await signal in signals.cancelOnGracefulShutdown() {
      if signal == .sighup { control.reload() } else { control.backUpNow() }
    }
  }
}
