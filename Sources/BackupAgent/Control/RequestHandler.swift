import BackupEngine
import BackupPolicy
import Glibc
import Names
import Synchronization

/// Carries out the requests of commands on the databases of an agent. Belongs to the loop's thread.
final class RequestHandler {
  private let feed: EventFeed
  /// When the agent began.
  let start: Timestamp
  /// Requests for a reload: those that the running one answers, and those that came since it began.
  private var reloading: [ControlReply] = []
  private var waitingForReload: [ControlReply] = []

  init(_ feed: EventFeed, at start: Timestamp) { (self.feed, self.start) = (feed, start) }

  /// - Returns: whether the configuration is to be read again.
  func handle(
    _ request: ControlRequest, _ reply: ControlReply, _ all: [DatabaseCoordinator], _ messages: MessageCounts,
    isStopping: Bool
  ) -> Bool {
    do {
      let databases = try Self.choose(request.database, all)
      switch request.command {
      case .status:
        reply.send(["agent": agent(messages, isStopping), "databases": .array(databases.map(\.status.json))])
      case .follow: feed.add(reply, database: request.database.flatMap { _ in databases.first?.database.name })
      case .decisions: reply.send(["databases": .array(databases.map(Self.journal))])
      case .backUpNow, .sync, .pause, .resume, .reload:
        guard !isStopping else { throw HoldfastError(.refused, "the agent is stopping") }
        return change(request.command, databases, reply)
      }
    } catch {
      reply.send(HoldfastError(wrapping: error))
    }
    return false
  }

  private func change(
    _ command: ControlRequest.Command, _ databases: [DatabaseCoordinator], _ reply: ControlReply
  ) -> Bool {
    switch command {
    case .backUpNow(let waits):
      let replies = waits ? CollectedReply.split(reply, for: databases.map(\.database.name)) : []
      for (index, database) in databases.enumerated() {
        database.handle(request: .requested, waits ? replies[index] : nil)
      }
      if !waits || databases.isEmpty { reply.send(["databases": .array(databases.map { .string($0.database.name) })]) }
    case .sync(let target, let address):
      let replies = CollectedReply.split(reply, for: databases.map(\.database.name))
      for (database, reply) in zip(databases, replies) {
        database.parts.targets.sync(target, at: address, reply)
      }
      if databases.isEmpty { reply.send(["databases": .array([])]) }
    case .pause(let milliseconds):
      databases.forEach { $0.handle(request: .pause(milliseconds: milliseconds)) }
      reply.send(["databases": .array(databases.map(Self.pause))])
    case .resume:
      databases.forEach { $0.handle(request: .resume) }
      reply.send(["databases": .array(databases.map(Self.pause))])
    case .reload:
      waitingForReload.append(reply)
      return true
    case .status, .follow, .decisions: break
    }
    return false
  }

  /// The client has ended.
  func forget(_ id: Int) {
    reloading.removeAll { $0.id == id }
    waitingForReload.removeAll { $0.id == id }
    feed.remove(id)
  }

  // MARK: Reloads

  func beginReload() { (reloading, waitingForReload) = (reloading + waitingForReload, []) }

  /// - Parameter error: the reason why nothing was changed; nil if the new configuration is in force.
  func endReload(_ error: HoldfastError?) {
    for reply in reloading {
      if let error { reply.send(error) } else { reply.send(["reloaded": .bool(true)]) }
    }
    reloading = []
  }

  /// The agent ends, or there is nothing to reload.
  func refuseReloads(_ error: HoldfastError) {
    beginReload()
    endReload(error)
  }

  // MARK: Answers

  private func agent(_ messages: MessageCounts, _ isStopping: Bool) -> JSONValue {
    .object([
      "process": .integer(Int64(getpid())), "started_at": .string(start.iso8601), "stopping": .bool(isStopping),
      "messages": messages.json,
    ])
  }

  private static func choose(_ name: String?, _ all: [DatabaseCoordinator]) throws -> [DatabaseCoordinator] {
    guard let name else { return all }
    let chosen = all.filter {
      $0.database.name.isExactly(name) || $0.database.identity.folder.description.isExactly(name)
    }
    guard chosen.isEmpty else { return chosen }
    let known = all.map(\.database.name).joined(separator: ", ")
    throw HoldfastError(
      .usage, "the running agent does not guard a database with the name \(name.shortened)",
      hint: all.isEmpty ? nil : "it guards \(known); holdfast reload makes it read the configuration again")
  }

  private static func pause(of database: DatabaseCoordinator) -> JSONValue {
    let end = database.status.trigger.pausedUntil
    return .object(["name": .string(database.database.name), "paused_until": .optional(end?.iso8601)])
  }

  private static func journal(of database: DatabaseCoordinator) -> JSONValue {
    .object(["name": .string(database.database.name), "decisions": database.parts.reporter.journal.json])
  }
}

/// Joins the answers about several databases to one answer.
private final class CollectedReply: Sendable {
  private let reply: ControlReply
  private let names: [String]
  private let answers = Mutex<[Int: JSONObject]>([:])

  private init(_ reply: ControlReply, _ names: [String]) { (self.reply, self.names) = (reply, names) }

  /// - Returns: a reply for each database. When all have an answer, `reply` gets them together.
  static func split(_ reply: ControlReply, for names: [String]) -> [ControlReply] {
    let collected = CollectedReply(reply, names)
    return names.indices.map { index in ControlReply(id: reply.id) { answer, _ in collected.add(answer, at: index) } }
  }

  private func add(_ answer: JSONObject, at index: Int) {
    let all = answers.withLock { answers in
      answers[index] = answer.merging(["name": .string(names[index])])
      return answers.count == names.count ? names.indices.compactMap { answers[$0] } : nil
    }
    if let all { reply.send(["databases": .array(all.map { .object($0) })]) }
  }
}
