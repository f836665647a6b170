import BackupEngine
import BackupPolicy
import Glibc

/// A program that runs in this process's place: its terminal, its files, its process group, its
/// environment.
struct GuardedCommand {
  /// The words of the command line.
  let arguments: [String]
  /// The program that `arguments[0]` names in `PATH`.
  let path: String

  /// - Throws: ``Unusable``.
  init(_ arguments: [String]) throws {
    self.arguments = arguments
    path = try Self.find(arguments[0])
  }

  /// The program's name without its folder. The arguments may hold passwords.
  var name: String { arguments[0].lastComponent }

  /// The reason why a program cannot be started, with the exit status that shells use for it.
  struct Unusable: Error {
    let status: Int32
    let error: HoldfastError

    fileprivate init(_ name: String, errno code: Int32) {
      let isMissing = code == ENOENT || code == ENOTDIR
      status = isMissing ? 127 : 126
      let hint =
        code == ENOEXEC
        ? "it is not a program; a script needs a first line such as #!/bin/sh"
        : isMissing ? "check the name, and PATH" : "chmod +x makes a file executable"
      var error = HoldfastError(errno: code, "run", name)
      error.hint = hint
      self.error = error
    }
  }

  private static func find(_ name: String) throws -> String {
    if name.contains("/") { return try requireExecutable(name) }
    let folders = ProcessEnvironment.current["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
    var refusal = Unusable(name, errno: ENOENT)
    for folder in folders.split(separator: ":", omittingEmptySubsequences: false) {
      do {
        return try requireExecutable("\(folder.isEmpty ? "." : folder)/\(name)")
      } catch let other as Unusable where other.status == 126 {
        refusal = other
      } catch is Unusable {
        continue
      }
    }
    throw refusal
  }

  private static func requireExecutable(_ path: String) throws -> String {
    var status = stat()
    guard stat(path, &status) == 0 else { throw Unusable(path, errno: errno) }
    guard status.st_mode & S_IFMT == S_IFREG, faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 else {
      throw Unusable(path, errno: EACCES)
    }
    return path
  }

  /// Starts it.
  ///
  /// - Parameter mask: the blocked signals of the new process.
  /// - Throws: ``Unusable``.
  func start(mask: sigset_t) throws -> pid_t {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var (mask, standard) = (mask, sigset_t())
    sigemptyset(&standard)
    // The signals whose inherited action this process has changed.
    if !Self.pipeWasIgnored { sigaddset(&standard, SIGPIPE) }
    if !Self.fileSizeSignalWasIgnored { sigaddset(&standard, SIGXFSZ) }
    posix_spawnattr_setsigmask(&attributes, &mask)
    posix_spawnattr_setsigdefault(&attributes, &standard)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    let strings = arguments.map { strdup($0) }
    defer { strings.forEach { free($0) } }
    var process = pid_t()
    let failure = posix_spawn(&process, path, nil, &attributes, strings + [nil], environ)
    guard failure == 0 else { throw Unusable(path, errno: failure) }
    return process
  }

  /// If the reader of the messages exits (`| head`), the work after the command must still be done.
  static func ignoreBrokenPipes() { _ = pipeWasIgnored }

  /// A file that grows beyond `ulimit -f` is an error (EFBIG) that can be reported, not the silent
  /// end of the process.
  static func ignoreFileSizeSignal() { _ = fileSizeSignalWasIgnored }

  private static let fileSizeSignalWasIgnored: Bool = {
    let was = Interruption.isIgnored(SIGXFSZ)
    signal(SIGXFSZ, SIG_IGN)
    return was
  }()

  private static let pipeWasIgnored: Bool = {
    let was = Interruption.isIgnored(SIGPIPE)
    signal(SIGPIPE, SIG_IGN)
    // An ignored SIGCHLD may be inherited; then the command's exit status would be lost.
    signal(SIGCHLD, SIG_DFL)
    return was
  }()
}

/// The way in which a command ended.
enum CommandEnding: Hashable {
  case exited(Int32)
  case killed(signal: Int32)

  /// Waits for the command. As soon as it has ended, `ended` directs signals to other work, before
  /// the kernel can reuse the process ID.
  static func wait(for process: pid_t, _ ended: () -> Void) throws -> CommandEnding {
    var info = siginfo_t()
    while waitid(P_PID, id_t(process), &info, WEXITED | WNOWAIT) != 0 {
      guard errno == EINTR else { throw HoldfastError(errno: errno, "wait for", "the command") }
    }
    ended()
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 {
      guard errno == EINTR else { throw HoldfastError(errno: errno, "wait for", "the command") }
    }
    let signal = status & 0x7f
    return signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal: signal)
  }

  /// The exit status as a shell reports it.
  var status: Int32 {
    switch self {
    case .exited(let status): status
    case .killed(let signal): 128 + signal
    }
  }

  var succeeded: Bool { self == .exited(0) }

  var words: String {
    switch self {
    case .exited(let status): "ended with exit status \(status)"
    case .killed(let signal): "was killed by \(Self.name(signal))"
    }
  }

  /// The name, such as `SIGKILL`; the number if the table has no name.
  static func name(_ signal: Int32) -> String {
    names[signal] ?? "signal \(signal)"
  }

  private static let names: [Int32: String] = [
    SIGHUP: "SIGHUP", SIGINT: "SIGINT", SIGQUIT: "SIGQUIT", SIGILL: "SIGILL", SIGTRAP: "SIGTRAP", SIGABRT: "SIGABRT",
    SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGKILL: "SIGKILL", SIGUSR1: "SIGUSR1", SIGSEGV: "SIGSEGV", SIGUSR2: "SIGUSR2",
    SIGPIPE: "SIGPIPE", SIGALRM: "SIGALRM", SIGTERM: "SIGTERM", SIGXCPU: "SIGXCPU", SIGXFSZ: "SIGXFSZ",
    SIGSYS: "SIGSYS",
  ]
}

/// The modes of the terminal on standard input. A command that is killed in an editor or at a
/// password prompt leaves it without echo, and the shell, which sees only the end of this process,
/// does not restore it.
struct TerminalModes {
  private let modes: termios

  /// Nil if there is no terminal, or if another process group is in its foreground.
  init?() {
    var modes = termios()
    guard tcgetattr(STDIN_FILENO, &modes) == 0, tcgetpgrp(STDIN_FILENO) == getpgrp() else { return nil }
    self.modes = modes
  }

  func restore() {
    // If the process is no longer in the foreground, this would stop it.
    guard tcgetpgrp(STDIN_FILENO) == getpgrp() else { return }
    var modes = modes
    tcsetattr(STDIN_FILENO, TCSADRAIN, &modes)
  }
}
