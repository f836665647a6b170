import Glibc

/// How the terminal on standard input is set: a command that is killed in the middle of an editor or a password prompt leaves it
/// without echo, and the shell sees no more than that this process ended.
struct TerminalModes {
  private let modes: termios

  /// Nil where there is no terminal, or where it is in the hands of others.
  init?() {
    var modes = termios()
    guard tcgetattr(STDIN_FILENO, &modes) == 0, tcgetpgrp(STDIN_FILENO) == getpgrp() else { return nil }
    self.modes = modes
  }

  func restore() {
    // Not in the foreground any more, this would stop the process.
    guard tcgetpgrp(STDIN_FILENO) == getpgrp() else { return }
    var modes = modes
    tcsetattr(STDIN_FILENO, TCSADRAIN, &modes)
  }
}
