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
