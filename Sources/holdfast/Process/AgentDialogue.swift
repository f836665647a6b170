import BackupAgent
import BackupEngine
import BackupPolicy
import Glibc
import Names
import Wording

/// A command's requests to running agents: about the database that was named, else about all
/// databases of each agent that guards a configured one.
struct AgentDialogue {
  let options: ServiceOptions

  /// An answer's part about one database: its name, and the facts.
  typealias Part = (name: String, keys: JSONObject)

  /// How long an agent may take for an answer that needs no work, in milliseconds.
  private static let patience: Int64 = 10_000

  static func zone(_ options: ServiceOptions) -> ZoneRules { (try? options.selection().zone) ?? .utc }

  /// Sends a request to each agent.
  ///
  /// - Parameters:
  ///   - waits: the answer comes when work has ended, however long it takes.
  ///   - lines: the result for people.
  /// - Throws: the first error, after all agents were asked; `refused` if no agent guards one of the
  ///   databases.
  func run(_ command: ControlRequest.Command, waits: Bool = false, _ lines: ([Part]) -> [String]) throws {
    let progress = Progress()
    Interruption.stops(progress)
    var parts: [Part] = []
    var failure: (any Error)?
    let absence = try eachAgent { client, folder, selection in
      do {
        if waits { try requireAnswer(selection) }
        let answer = try client.ask(
          ControlRequest(command, database: folder), timeout: waits ? nil : Self.patience, progress)
        let (new, error) = Self.parts(answer)
        parts += new
        failure = failure ?? error
      } catch let error as HoldfastError where error.code != .interrupted {
        failure = failure ?? error
      }
    }
    failure = failure ?? absence
    if failure == nil || !parts.isEmpty {
      let document = JSONValue.array(parts.map { .object($0.keys) })
      try options.console.show(document, options.output.quiet ? [] : lines(parts).map(\.printable))
    }
    if let failure { throw failure }
  }

  /// Makes each agent read its configuration again. A database that no agent guards yet may be one
  /// that the new configuration adds.
  ///
  /// - Throws: `refused` if no agent runs; the first error, after all agents were asked.
  func reload() throws {
    let progress = Progress()
    Interruption.stops(progress)
    var agents: [String] = []
    var failure: (any Error)?
    let absence = try eachAgent { client, _, selection in
      do {
        try requireAnswer(selection)
        _ = try client.ask(ControlRequest(.reload), timeout: nil, progress)
        agents.append(client.agent)
      } catch let error as HoldfastError where error.code != .interrupted {
        failure = failure ?? error
      }
    }
    if agents.isEmpty, let failure = failure ?? absence { throw failure }
    try options.console.show(
      .object(["reloaded": .array(agents.map { .string($0) })]),
      options.output.quiet ? [] : agents.map { "\($0): the new configuration is in force" })
    if let failure { throw failure }
  }

  /// Prints events of one agent until it ends, or until a signal.
  func follow() throws {
    let progress = Progress()
    Interruption.stops(progress)
    let zone = Self.zone(options)
    var isFollowing = false
    let absence = try eachAgent { client, folder, selection in
      guard !isFollowing else {
        throw HoldfastError(
          .usage, "several agents guard the configured databases", hint: "add --database with the name of one")
      }
      isFollowing = true
      try requireAnswer(selection)
      try client.send(ControlRequest(.follow, database: folder))
      while let event = try client.next(timeout: nil, progress) { try show(event, zone) }
      throw HoldfastError(.failed, "the agent (\(client.agent)) has ended")
    }
    if let absence { throw absence }
  }

  private func show(_ event: JSONObject, _ zone: ZoneRules) throws {
    if options.console.json {
      try Console.write(JSONValue.object(event).encodedLine(), to: STDOUT_FILENO)
    } else {
      try options.console.show([EventLine(event, zone: zone).text])
    }
  }

  // MARK: Finding agents

  /// Calls `body` for each agent once.
  ///
  /// - Parameter body: its second argument is the backup folder of the one database to ask about;
  ///   nil: all databases of the agent. The third is a database that the agent guards.
  /// - Returns: `refused` if no agent guards one of the databases, except those that are disabled.
  private func eachAgent(
    _ body: (inout ControlClient, _ folder: String?, Selection) throws -> Void
  ) throws -> HoldfastError? {
    let configuration = try options.configuration()
    var asked: Set<String> = []
    var (absence, ofDisabled): (HoldfastError?, HoldfastError?) = (nil, nil)
    for selection in try options.selections(in: configuration) {
      var client: ControlClient
      do {
        client = try find(selection)
      } catch let error as HoldfastError where error.code == .refused {
        let isDisabled = (try? selection.settings.boolean(.enabled)) == false
        (absence, ofDisabled) = isDisabled ? (absence, ofDisabled ?? error) : (absence ?? error, ofDisabled)
        continue
      }
      guard asked.insert(client.agent).inserted else { continue }
      try body(&client, options.database == nil ? nil : selection.backupDir.resolvingLinks, selection)
    }
    return absence ?? (asked.isEmpty ? ofDisabled : nil)
  }

  /// Asks an agent for its status, before a request whose answer may take long: an agent that hangs
  /// answers neither.
  private func requireAnswer(_ selection: Selection) throws {
    var client = try find(selection)
    _ = try client.ask(ControlRequest(.status), timeout: Self.patience)
  }

  private func find(_ selection: Selection) throws -> ControlClient {
    if let refusal = selection.refusal { throw HoldfastError(.refused, refusal.message, hint: refusal.hint) }
    let name = selection.databasePath ?? selection.backupDir
    switch try ControlClient.find(for: selection.engine(.optional)) {
    case .answering(let client): return client
    case .silent(let holder):
      throw HoldfastError(
        .busy, "the agent of \(name) (\(holder)) cannot be asked", hint: "look at its log, and restart it")
    case .deaf(let holder):
      throw HoldfastError(
        .refused, "the agent of \(name) (\(holder)) accepts no commands",
        hint: "its log says why; an agent inside another program never does")
    case .gone: throw absence(name)
    case .nobody: throw absence(name)
    }
  }

  private func absence(_ name: String) -> HoldfastError {
    HoldfastError(
      .refused, "no agent guards \(name)",
      hint: "start holdfast agent, or back up with holdfast create; holdfast status shows what is saved")
  }

  /// The parts of an answer, and the first error among them.
  private static func parts(_ answer: JSONObject) -> (parts: [Part], error: HoldfastError?) {
    guard case .array(let items)? = answer["databases"] else { return ([], nil) }
    var error: HoldfastError?
    let parts = items.compactMap { item -> Part? in
      switch item {
      case .string(let name): return (name, ["name": .string(name)])
      case .object(let keys):
        guard case .string(let name)? = keys["name"] else { return nil }
        if let problem = HoldfastError(controlJSON: keys["error"]) {
          error = error ?? problem.during(name)
          return nil
        }
        return (name, keys)
      default: return nil
      }
    }
    return (parts, error)
  }
}
