import BackupEngine
import Glibc
import Synchronization

/// SIGINT, SIGTERM and SIGHUP during a command that leaves temporary files: the work stops and
/// cleans up.
enum Interruption {
  /// The work that the next signal stops; nil until the first work begins.
  private static let current = Mutex<Progress?>(nil)

  /// From now on the first signal stops `progress`, so that the work ends with `interrupted`; a
  /// second signal ends the process at once, unless the work is installing a file. Called on the
  /// main thread, before the work starts its own threads, because they inherit the mask.
  static func stops(_ progress: Progress) {
    let isFirst = current.withLock { known in
      defer { known = progress }
      return known == nil
    }
    if isFirst { listen() }
  }

  /// For work of some milliseconds that is done as a whole: from here on signals wait, and the process ends before they count.
  static func postpone() {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
  }

  private static func listen() {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP] where !isIgnored(signal) { sigaddset(&signals, signal) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    let listened = signals
    do {
      pthread_detach(try Workers.start("a thread for signals") { receive(listened) })
    } catch {
      // Without the thread, signals keep their previous effect.
      pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }
  }

  private static func receive(_ signals: sigset_t) {
    var signals = signals
    while true {
      var signal: Int32 = 0
      guard sigwait(&signals, &signal) == 0 else { continue }
      current.withLock { if let progress = $0 { stop(progress) } }
    }
  }

  /// Stops the work; if it is already stopping, ends the process at once.
  static func stop(_ progress: Progress) {
    if progress.isStopped, !progress.isCompleting { _exit(130) }
    progress.stop()
  }

  /// `nohup` and shells' background jobs ignore signals on purpose. If such a signal were blocked,
  /// the kernel would queue it for this process.
  static func isIgnored(_ signal: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(signal, nil, &action) == 0 else { return false }
    // SIG_IGN is the number 1 as a pointer, which Swift does not import as a comparable value.
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
  }
}

/// Relays signals: to the work before and after a command, and to the command while it runs.
///
/// The terminal sends its signals (Ctrl-C) to every process in the foreground, including the
/// command, so they are not sent to the command again. A signal to this process alone is relayed.
final class SignalRelay: Sendable {
  private enum Receiver {
    /// See ``Interruption/stop(_:)``.
    case work(Progress)
    case command(pid_t)
  }

  private let receiver: Mutex<Receiver>
  /// The signal mask at the process's start, for the command.
  let originalMask: sigset_t

  private static let relayed = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2]
  /// The `si_code` of signals from the kernel itself, such as those of a terminal.
  private static let fromKernel: Int32 = 0x80

  /// Called once, on the main thread, before there are other threads, because threads inherit the
  /// mask.
  init() throws {
    receiver = Mutex(.work(Progress()))
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in Self.relayed where !Interruption.isIgnored(signal) { sigaddset(&signals, signal) }
    var mask = sigset_t()
    pthread_sigmask(SIG_BLOCK, &signals, &mask)
    originalMask = mask
    let listened = signals
    pthread_detach(try Workers.start("a thread for signals") { [self] in listen(listened) })
  }

  /// From now on signals stop this work.
  func stops(_ progress: Progress) {
    receiver.withLock { $0 = .work(progress) }
  }

  /// From now on signals go to the command that `start` starts. If a signal came before, the
  /// command is not started.
  ///
  /// - Throws: `interrupted`, and the errors of `start`.
  func starting(_ start: () throws -> pid_t) throws -> pid_t {
    try receiver.withLock {
      if case .work(let progress) = $0 { try progress.check() }
      let process = try start()
      $0 = .command(process)
      return process
    }
  }

  private func listen(_ signals: sigset_t) {
    var signals = signals
    while true {
      var info = siginfo_t()
      let signal = sigwaitinfo(&signals, &info)
      if signal > 0 { receive(signal, code: info.si_code) }
    }
  }

  private func receive(_ signal: Int32, code: Int32) {
    receiver.withLock {
      switch $0 {
      case .work(let progress): Interruption.stop(progress)
      case .command(let process):
        // A command in its own process group gets no signals from this terminal.
        guard code != Self.fromKernel || getpgid(process) != getpgrp() else { return }
        kill(process, signal)
      }
    }
  }
}
