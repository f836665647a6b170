import Glibc
import Names

/// A program that prints credentials as JSON.
///
/// Its arguments are split like a shell does, and no shell runs. Its error output is this process's.
/// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
struct CredentialProcess {
  let command: String
  let source: String
  /// Milliseconds until the program is killed.
  var timeout: Int32 = 60_000

  func credentials() throws(StoreError) -> StoreCredentials {
    guard let arguments = Self.arguments(command), let program = arguments.first else {
      throw failure("the command has an open quote or is empty")
    }
    let (child, output) = try start(program, arguments)
    defer { close(output) }
    let read = readToEnd(output)
    if read == nil { kill(child, SIGKILL) }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    guard let read else {
      throw failure("\(program.printable) did not end within \(timeout / 1000) s, or printed too much")
    }
    guard status == 0 else { throw failure("\(program.printable) failed") }
    return try CredentialsAnswer.credentials(read, source: source)
  }

  private func failure(_ reason: String) -> StoreError { StoreError(.noCredentials, "\(source): \(reason)") }

  private func start(_ program: String, _ arguments: [String]) throws(StoreError) -> (pid_t, Int32) {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw StoreError(errno: errno, source) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { close(ends[1]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    let strings = arguments.map { $0.raw.withUnsafeBufferPointer { strdup($0.baseAddress!) } }
    defer { strings.forEach { free($0) } }
    var child = pid_t()
    let error = posix_spawnp(&child, program.raw, &actions, nil, strings + [nil], environ)
    guard error == 0 else {
      close(ends[0])
      throw StoreError(errno: error, "\(source): cannot run \(program.printable)")
    }
    return (child, ends[0])
  }

  /// Nil if the end does not come in time, or after 64 KiB.
  private func readToEnd(_ output: Int32) -> [UInt8]? {
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    let deadline = Self.monotonic() + Int64(timeout)
    while content.count < 1 << 16 {
      var poll = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
      let left = deadline - Self.monotonic()
      guard left > 0 else { return nil }
      let ready = Glibc.poll(&poll, 1, Int32(left))
      if ready < 0, errno == EINTR { continue }
      guard ready > 0 else { return nil }
      let count = read(output, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return count == 0 ? content : nil }
      content += buffer.prefix(count)
    }
    return nil
  }

  private static func monotonic() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  /// Words, with quotes and backslashes as in a POSIX shell. Nil if a quote has no end.
  static func arguments(_ command: String) -> [String]? {
    var words: [String] = []
    var word: String?
    var quote: Character?
    var escaped = false
    for character in command {
      if escaped {
        word = (word ?? "") + String(character)
        escaped = false
      } else if character == "\\", quote != "'" {
        escaped = true
      } else if let open = quote {
        if character == open { quote = nil } else { word = (word ?? "") + String(character) }
      } else if character == "'" || character == "\"" {
        quote = character
        word = word ?? ""
      } else if character.isWhitespace {
        if let ended = word { words.append(ended) }
        word = nil
      } else {
        word = (word ?? "") + String(character)
      }
    }
    if let ended = word { words.append(ended) }
    return quote == nil && !escaped ? words : nil
  }
}
