import CShims
import Glibc
import Names

/// A program of the user's that answers on its standard output.
///
/// It runs in a session of its own, so that it is ended together with the processes that it starts, and
/// so that it cannot wait for a person at a terminal. Its error output is kept for the message of a
/// failure.
struct HelperProcess {
  /// Why there is no answer.
  enum Failure: Error, Equatable {
    case notStarted(errno: Int32)
    case exit(code: Int32)
    case signal(Int32)
    case timeout
    /// The answer is longer than ``longestAnswer``.
    case tooLong
    /// The caller asked for the end.
    case stopped
  }

  let program: String
  let arguments: [String]
  /// Milliseconds until it is killed.
  let timeout: Int64
  /// Is asked several times a second.
  let isStopped: @Sendable () -> Bool
  private var answer: [UInt8] = []
  private var errors: [UInt8] = []
  private var child = pid_t()

  private static let longestAnswer = 1 << 16
  private static let longestError = 4096
  /// Characters of the line that a message contains.
  private static let longestLine = 200
  /// Milliseconds between two looks for a request to stop.
  private static let step: Int64 = 100

  init(_ program: String, _ arguments: [String], timeout: Int64, isStopped: @escaping @Sendable () -> Bool) {
    (self.program, self.arguments, self.timeout, self.isStopped) = (program, arguments, timeout, isStopped)
  }

  /// Runs the program to its end, and blocks.
  mutating func run() throws(Failure) -> [UInt8] {
    let deadline = Self.monotonic() + timeout
    let (output, messages) = try start()
    defer {
      close(output)
      close(messages)
    }
    do throws(Failure) {
      try read(output, messages, until: deadline)
      try waitForExit(messages, until: deadline)
      return answer
    } catch {
      if error.leavesProcesses { end() }
      throw error
    }
  }

  /// The last line of the error output, printable and cut; nil without output.
  var lastLine: String? {
    let lines = String(decoding: errors, as: UTF8.self).split(whereSeparator: \.isNewline)
    let words = lines.map { $0.split(whereSeparator: \.isWhitespace).joined(separator: " ") }
    guard let line = words.last(where: { !$0.isEmpty })?.printable else { return nil }
    return line.count > Self.longestLine ? String(line.prefix(Self.longestLine)) + "…" : line
  }

  // MARK: Start

  private mutating func start() throws(Failure) -> (Int32, Int32) {
    let output = try Self.pipe()
    defer { close(output.write) }
    let messages: (read: Int32, write: Int32)
    do throws(Failure) {
      messages = try Self.pipe()
    } catch {
      close(output.read)
      throw error
    }
    defer { close(messages.write) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output.write, 1)
    posix_spawn_file_actions_adddup2(&actions, messages.write, 2)
    let failure = spawn(&actions)
    guard failure == 0 else {
      close(output.read)
      close(messages.read)
      throw .notStarted(errno: failure)
    }
    return (output.read, messages.read)
  }

  private mutating func spawn(_ actions: inout posix_spawn_file_actions_t) -> Int32 {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The threads of an agent block signals, which a program would inherit.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Self.ownSession)
    let strings = arguments.map { $0.raw.withUnsafeBufferPointer { strdup($0.baseAddress!) } }
    defer { strings.forEach { free($0) } }
    return posix_spawnp(&child, program.raw, &actions, &attributes, strings + [nil], environ)
  }

  /// `POSIX_SPAWN_SETSID`, a GNU extension that Swift does not import.
  private static let ownSession: Int16 = 0x80

  private static func pipe() throws(Failure) -> (read: Int32, write: Int32) {
    var ends: [Int32] = [0, 0]
    guard cshims_pipe(&ends) == 0 else { throw .notStarted(errno: errno) }
    return (ends[0], ends[1])
  }

  // MARK: Output

  /// Reads until the program has closed its output.
  private mutating func read(_ output: Int32, _ messages: Int32, until deadline: Int64) throws(Failure) {
    var hasErrors = true
    while true {
      var entries = [
        pollfd(fd: output, events: Int16(POLLIN), revents: 0),
        pollfd(fd: hasErrors ? messages : -1, events: Int16(POLLIN), revents: 0),
      ]
      try check(deadline)
      guard poll(&entries, 2, Int32(Self.step)) > 0 else { continue }
      if entries[1].revents != 0 { hasErrors = keepErrors(messages) }
      guard entries[0].revents != 0, let bytes = Self.bytes(output) else { continue }
      if bytes.isEmpty { return }
      answer += bytes
      if answer.count > Self.longestAnswer { throw .tooLong }
    }
  }

  /// - Returns: false at the end.
  private mutating func keepErrors(_ messages: Int32) -> Bool {
    guard let bytes = Self.bytes(messages) else { return true }
    errors = Array((errors + bytes).suffix(Self.longestError))
    return !bytes.isEmpty
  }

  /// Nil if a signal came in between; empty at the end.
  private static func bytes(_ descriptor: Int32) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = Glibc.read(descriptor, &buffer, buffer.count)
    if count < 0, errno == EINTR { return nil }
    return Array(buffer.prefix(max(0, count)))
  }

  // MARK: End

  private mutating func waitForExit(_ messages: Int32, until deadline: Int64) throws(Failure) {
    var status: Int32 = 0
    while true {
      let ended = waitpid(child, &status, WNOHANG)
      if ended == child { break }
      if ended < 0, errno != EINTR { throw .exit(code: -1) }
      try check(deadline)
      var entry = pollfd(fd: messages, events: Int16(POLLIN), revents: 0)
      if poll(&entry, 1, 10) > 0, !keepErrors(messages) { usleep(10_000) }
    }
    var entry = pollfd(fd: messages, events: Int16(POLLIN), revents: 0)
    while poll(&entry, 1, 0) > 0, keepErrors(messages) {}
    if status & 0x7F != 0 { throw .signal(status & 0x7F) }
    if status >> 8 & 0xFF != 0 { throw .exit(code: status >> 8 & 0xFF) }
  }

  private func check(_ deadline: Int64) throws(Failure) {
    if isStopped() { throw .stopped }
    if Self.monotonic() >= deadline { throw .timeout }
  }

  /// Kills it and all that it has started.
  private func end() {
    kill(-child, SIGKILL)
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
  }

  private static func monotonic() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}

extension HelperProcess.Failure {
  /// Whether the program may still run.
  fileprivate var leavesProcesses: Bool {
    switch self {
    case .timeout, .tooLong, .stopped: true
    case .notStarted, .exit, .signal: false
    }
  }
}
