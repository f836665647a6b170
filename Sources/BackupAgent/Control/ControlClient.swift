import BackupEngine
import BackupPolicy
import Glibc

/// A command's side of the conversation with an agent. Blocks.
package struct ControlClient: ~Copyable {
  /// Whether an agent guards a repository, and can be asked.
  package enum Presence: ~Copyable {
    case answering(ControlClient)
    /// An agent that accepts commands holds the repository, and does not answer. The text is its
    /// process.
    case silent(String)
    /// A process holds the repository as its agent, and does not accept commands.
    case deaf(String)
    /// An agent that accepted commands guarded it once, and has ended.
    case gone
    case nobody
  }

  private let descriptor: Int32
  /// The agent, such as `process 123`.
  package let agent: String
  /// Bytes after the last complete line.
  private var rest: [UInt8] = []

  private init(_ descriptor: Int32, _ agent: String) { (self.descriptor, self.agent) = (descriptor, agent) }

  deinit { close(descriptor) }

  /// Looks for the agent that guards a repository: by the record in the repository, and if that is
  /// not there, among the agents of this user.
  ///
  /// - Throws: `HoldfastError`: `refused` if another user's process listens in its place;
  ///   `permissionDenied` if this user may not ask.
  package static func find(for engine: Engine) throws -> Presence {
    let files = engine.environment.files
    let path = "\(engine.folder)/.state/agent.lock"
    guard let record = try files.contents(path, limit: 4096), let holder = AgentLockHolder(record: record) else {
      return findWithoutRepository(engine)
    }
    if let socket = holder.socket, ControlSocket.isOurs(socket) {
      let owners = Set([try files.status(engine.folder)?.owner].compactMap { $0 })
      if let descriptor = try ControlSocket.connect(to: socket, owners: owners) {
        return .answering(ControlClient(descriptor, "process \(holder.process)"))
      }
    }
    if try isLocked(path, files) {
      return holder.socket == nil ? .deaf(holder.description) : .silent(holder.description)
    }
    return holder.socket == nil ? .nobody : .gone
  }

  /// Milliseconds for which each agent of this user may think about its databases.
  private static let patience: Int64 = 2000

  /// The folder of backups is away, or there is none yet. An agent that guards it still listens.
  private static func findWithoutRepository(_ engine: Engine) -> Presence {
    let folder = engine.folder.resolvingLinks
    for socket in ControlSocket.paths(in: ControlSocket.folder(in: engine.environment.stateFolder)) {
      // A connection carries one request.
      guard let process = ControlSocket.process(of: socket), isGuarding(folder, at: socket),
        let descriptor = try? ControlSocket.connect(to: socket, owners: [])
      else { continue }
      return .answering(ControlClient(descriptor, "process \(process)"))
    }
    return .nobody
  }

  /// Whether the agent at a socket guards a repository. Another agent answers with an error.
  private static func isGuarding(_ folder: String, at socket: String) -> Bool {
    guard let descriptor = try? ControlSocket.connect(to: socket, owners: []) else { return false }
    var client = ControlClient(descriptor, socket)
    return (try? client.ask(ControlRequest(.status, database: folder), timeout: patience)) != nil
  }

  private static func isLocked(_ path: String, _ files: any FileOperations) throws -> Bool {
    let file = try files.open(path, .readNoFollow)
    defer {
      file.unlock()
      files.close(file)
    }
    return try !files.lock(file, exclusive: false, wait: false)
  }

  /// Sends a request and waits for its answer.
  ///
  /// - Parameters:
  ///   - timeout: in milliseconds; nil: for as long as it takes.
  ///   - progress: ends the wait with `interrupted`.
  /// - Throws: `HoldfastError`: the agent's error; `busy` if it does not answer in time.
  package mutating func ask(
    _ request: ControlRequest, timeout: Int64?, _ progress: Progress = Progress()
  ) throws -> JSONObject {
    try send(request)
    guard let answer = try next(timeout: timeout, progress) else {
      throw HoldfastError(.failed, "the agent (\(agent)) ended before it answered", hint: "look at its log")
    }
    return answer
  }

  package func send(_ request: ControlRequest) throws {
    var bytes = request.json.encodedLine()[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw HoldfastError(errno: errno, "send a request to", "the agent (\(agent))") }
      bytes = bytes.dropFirst(count)
    }
  }

  /// The next answer; nil at the end.
  package mutating func next(timeout: Int64?, _ progress: Progress = Progress()) throws -> JSONObject? {
    let deadline = timeout.map { SystemClock.monotonic() + $0 }
    while true {
      if let line = removeLine() { return try Self.answer(line) }
      try progress.check()
      let left = deadline.map { $0 - SystemClock.monotonic() } ?? .max
      guard left > 0 else {
        throw HoldfastError(
          .busy, "the agent (\(agent)) does not answer", hint: "look at its log, and restart it if it hangs")
      }
      var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, Int32(min(left, 200))) > 0 else { continue }
      var buffer = [UInt8](repeating: 0, count: 65536)
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      guard count > 0 else { return nil }
      rest += buffer[..<count]
    }
  }

  private mutating func removeLine() -> [UInt8]? {
    guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    defer { rest.removeSubrange(...end) }
    return Array(rest[..<end])
  }

  private static func answer(_ line: [UInt8]) throws -> JSONObject {
    guard case .object(let keys)? = JSONValue(parsing: line) else {
      throw HoldfastError(.failed, "the agent's answer cannot be read", hint: "use the holdfast of the same version")
    }
    if let error = HoldfastError(controlJSON: keys["error"]) { throw error }
    return keys
  }
}
