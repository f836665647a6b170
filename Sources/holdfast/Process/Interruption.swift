import BackupEngine
import Glibc
import Synchronization

/// SIGINT, SIGTERM and SIGHUP during a command that leaves temporary files: the work is asked to stop, and cleans up.
enum Interruption {
  /// What the next signal stops; nil until the first work begins.
  private static let current = Mutex<Progress?>(nil)

  /// From here on the first signal stops `progress`, so that the work ends with `interrupted`; a second one ends the
  /// process at once, unless something is being put in place. Called on the main thread, before the work starts threads of its
  /// own: they inherit the mask.
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
      // Without the thread, signals do what they did before.
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

  /// Once more for a progress that is stopped already means: at once.
  static func stop(_ progress: Progress) {
    if progress.isStopped, !progress.isCompleting { _exit(130) }
    progress.stop()
  }

  /// `nohup` and shells' background jobs ignore signals on purpose; while one is blocked the kernel would keep it for us.
  static func isIgnored(_ signal: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(signal, nil, &action) == 0 else { return false }
    // SIG_IGN is the number 1 in a pointer's place, which Swift does not import as a comparable value.
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
  }
}

/// Signals to a process that runs a command for somebody: to the work that goes on before and after, and in between to the
/// command.
///
/// What the terminal sends (Ctrl-C) goes to every process in the foreground, the command included, and is not sent to it again.
/// What somebody sends to this process alone is passed on.
final class SignalRelay: Sendable {
  private enum Receiver {
    /// See ``Interruption/stop(_:)``.
    case work(Progress)
    case command(pid_t)
  }

  private let receiver: Mutex<Receiver>
  /// What the process was started with, for the command.
  let originalMask: sigset_t

  private static let relayed = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2]
  /// `si_code` of what the kernel sends itself, for a terminal.
  private static let fromKernel: Int32 = 0x80

  /// Called once, on the main thread, before any other thread is there: threads inherit the mask.
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

  /// From here on signals stop this work.
  func stops(_ progress: Progress) {
    receiver.withLock { $0 = .work(progress) }
  }

  /// From here on signals go to the command that `start` starts; it is not started where a signal came before.
  ///
  /// - Throws: `interrupted`, and what `start` throws.
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
        // One that left for a group of its own gets nothing from our terminal.
        guard code != Self.fromKernel || getpgid(process) != getpgrp() else { return }
        kill(process, signal)
      }
    }
  }
}
