import BackupEngine
import BackupPolicy
import CShims
import Glibc
import Names

/// A program that gets a message as JSON on its standard input. It runs in a process group of its
/// own, with an environment without our secrets, and is killed after 30 s.
struct CommandHook {
  /// The program and its arguments.
  let words: [String]
  /// Milliseconds.
  var timeout: Int64 = 30_000

  /// The variables that a program inherits. All others may be secrets.
  static let inherited = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"]

  /// Blocks until the program has ended.
  ///
  /// - Returns: the last line of its output; may be empty.
  /// - Throws: if it cannot be started, fails, or takes too long.
  func run(_ input: [UInt8], variables: [(String, String)], _ progress: Progress) throws -> String {
    guard let name = words.first else { throw HoldfastError(.usage, "the command is empty") }
    var (toChild, fromChild) = ([Int32](repeating: -1, count: 2), [Int32](repeating: -1, count: 2))
    guard cshims_pipe(&toChild) == 0 else { throw HoldfastError(errno: errno, "create", "a pipe") }
    guard cshims_pipe(&fromChild) == 0 else {
      toChild.forEach { close($0) }
      throw HoldfastError(errno: errno, "create", "a pipe")
    }
    let process: pid_t
    do {
      defer {
        close(toChild[0])
        close(fromChild[1])
      }
      process = try start(name, input: toChild[0], output: fromChild[1], variables)
    } catch {
      close(toChild[1])
      close(fromChild[0])
      throw error
    }
    var child = RunningChild(process: process, input: toChild[1], output: fromChild[0], rest: input[...])
    return try child.wait(until: SystemClock.monotonic() + timeout, timeout, name.lastComponent, progress)
  }

  private func start(_ name: String, input: Int32, output: Int32, _ variables: [(String, String)]) throws -> pid_t {
    var (attributes, actions) = (posix_spawnattr_t(), posix_spawn_file_actions_t())
    posix_spawnattr_init(&attributes)
    posix_spawn_file_actions_init(&actions)
    defer {
      posix_spawnattr_destroy(&attributes)
      posix_spawn_file_actions_destroy(&actions)
    }
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO)
    var (none, all) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
    let arguments = words.map { strdup($0) }
    let environment = Self.environment(variables).map { strdup($0) }
    defer { (arguments + environment).forEach { free($0) } }
    var process = pid_t()
    let failure = posix_spawnp(&process, name, &actions, &attributes, arguments + [nil], environment + [nil])
    guard failure == 0 else { throw HoldfastError(errno: failure, "run", name) }
    return process
  }

  private static func environment(_ variables: [(String, String)]) -> [String] {
    let kept = inherited.compactMap { name in getenv(name).map { "\(name)=\(String(cString: $0))" } }
    return kept + variables.map { "\($0.0)=\($0.1.filter { $0 != "\0" })" }
  }
}

/// A program that runs, and the ends of its pipes.
private struct RunningChild {
  let process: pid_t
  var input: Int32
  let output: Int32
  var rest: ArraySlice<UInt8>
  private var seen: [UInt8] = []

  /// A program may print more; only the end of its first 64 KiB matters.
  private static let largestOutput = 1 << 16

  init(process: pid_t, input: Int32, output: Int32, rest: ArraySlice<UInt8>) {
    (self.process, self.input, self.output, self.rest) = (process, input, output, rest)
    for descriptor in [input, output] { _ = fcntl(descriptor, F_SETFL, O_NONBLOCK) }
  }

  /// - Returns: the last line of the output.
  mutating func wait(until end: Int64, _ timeout: Int64, _ name: String, _ progress: Progress) throws -> String {
    defer { release() }
    while true {
      transfer()
      var status: Int32 = 0
      let ended = waitpid(process, &status, WNOHANG)
      if ended == process {
        transfer()
        return try verdict(status, name)
      }
      if ended < 0, errno != EINTR { throw HoldfastError(errno: errno, "wait for", name) }
      if SystemClock.monotonic() >= end {
        stop()
        throw HoldfastError(.failed, "\(name) was killed, because it did not end within \(timeout / 1000) s")
      }
      if (try? progress.check()) == nil {
        stop()
        throw HoldfastError(.interrupted, "\(name) was killed, because the agent stops")
      }
    }
  }

  /// Its children also, which would hold the pipe.
  private func stop() {
    kill(-process, SIGKILL)
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
  }

  private mutating func release() {
    if input >= 0 { close(input) }
    close(output)
  }

  /// Passes on bytes for at most 50 ms.
  private mutating func transfer() {
    var polled = [
      pollfd(fd: input, events: Int16(POLLOUT), revents: 0), pollfd(fd: output, events: Int16(POLLIN), revents: 0),
    ]
    _ = poll(&polled, 2, 50)
    if polled[0].revents != 0 { send() }
    if polled[1].revents & Int16(POLLIN) != 0 {
      receive()
    } else if polled[1].revents != 0 {
      // Its output is closed, but it runs.
      usleep(50_000)
    }
  }

  private mutating func send() {
    let count = rest.isEmpty ? 0 : rest.withUnsafeBytes { writeWithoutSignal(input, $0) }
    if count > 0 { rest = rest.dropFirst(count) }
    // A program need not read its input.
    guard rest.isEmpty || count < 0 && errno != EAGAIN && errno != EINTR else { return }
    close(input)
    input = -1
  }

  /// A closed pipe must not end this process.
  private func writeWithoutSignal(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    var (pipe, before, now) = (sigset_t(), sigset_t(), timespec())
    sigemptyset(&pipe)
    sigaddset(&pipe, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &pipe, &before)
    let count = write(descriptor, bytes.baseAddress, bytes.count)
    let failure = errno
    if sigismember(&before, SIGPIPE) == 0 { while sigtimedwait(&pipe, nil, &now) > 0 {} }
    pthread_sigmask(SIG_SETMASK, &before, nil)
    errno = failure
    return count
  }

  private mutating func receive() {
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(output, &buffer, buffer.count)
      guard count > 0 else { return }
      if seen.count < Self.largestOutput { seen += buffer.prefix(count) }
    }
  }

  private var lastLine: String {
    let lines = String(decoding: seen, as: UTF8.self).lines.filter { !$0.isEmpty }
    return (lines.last ?? "").printable.shortened(toBytes: 200)
  }

  private func verdict(_ status: Int32, _ name: String) throws -> String {
    let (signal, code) = (status & 0x7f, (status >> 8) & 0xff)
    guard status != 0 else { return lastLine }
    let words = signal == 0 ? "ended with exit status \(code)" : "was killed by signal \(signal)"
    throw HoldfastError(.failed, "\(name) \(words)\(lastLine.isEmpty ? "" : ": \(lastLine)")")
  }
}
