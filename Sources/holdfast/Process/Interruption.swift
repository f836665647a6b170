import BackupEngine
import Glibc

/// SIGINT, SIGTERM and SIGHUP during a command that leaves temporary files: the work is asked to stop, and cleans up.
enum Interruption {
  /// From here on the first signal stops `progress`, so that the work ends with `interrupted`; a second one ends the
  /// process at once. Called once, on the main thread, before the work starts threads of its own: they inherit the mask.
  static func stops(_ progress: Progress) {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP] where !isIgnored(signal) { sigaddset(&signals, signal) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    let listener = Unmanaged.passRetained(Listener(signals, progress))
    var thread = pthread_t()
    let failure = pthread_create(
      &thread, nil,
      {
        Unmanaged<Listener>.fromOpaque($0!).takeRetainedValue().listen()
        return nil
      }, listener.toOpaque())
    guard failure == 0 else {
      // Without the thread, signals do what they did before.
      listener.release()
      pthread_sigmask(SIG_UNBLOCK, &signals, nil)
      return
    }
    pthread_detach(thread)
  }

  /// `nohup` and shells' background jobs ignore signals on purpose; while one is blocked the kernel would keep it for us.
  static func isIgnored(_ signal: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(signal, nil, &action) == 0 else { return false }
    // SIG_IGN is the number 1 in a pointer's place, which Swift does not import as a comparable value.
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
  }

  private final class Listener {
    private var signals: sigset_t
    private let progress: Progress

    init(_ signals: sigset_t, _ progress: Progress) {
      self.signals = signals
      self.progress = progress
    }

    func listen() {
      var signal: Int32 = 0
      sigwait(&signals, &signal)
      progress.stop()
      sigwait(&signals, &signal)
      _exit(130)
    }
  }
}
