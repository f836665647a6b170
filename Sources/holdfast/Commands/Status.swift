import ArgumentParser
import BackupAgent
import BackupEngine
import BackupPolicy
import Names
import Wording

/// `holdfast status`
struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say whether the data is safe, and if not, why not.",
    discussion: """
      It asks the running agent; without one it looks at the backups and at the files of the database. Without \
      --database it is about every configured database. With --check it prints one line for a monitoring system, \
      and the exit code is 0 (OK), 1 (warning), 2 (critical) or 3 (unknown).

      Examples:
        holdfast status
        holdfast status --why 14:03
        holdfast status --check --max-age 1h
      """)

  @Option(
    help: ArgumentHelp(
      "Show why a backup was or was not made at this time, such as 14:03 or 'yesterday 14:03'.", valueName: "time"))
  var why: String?

  @Flag(help: "Print one line, and end with the exit code of a monitoring plugin.")
  var check = false

  @Option(
    help: ArgumentHelp(
      "With --check: how long a change may be in no backup before it is critical (default: 1h).", valueName: "span"))
  var maxAge: String?

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    guard check else { return try report() }
    guard why == nil else {
      throw HoldfastError(.usage, "--why and --check exclude each other", hint: "leave one of them out")
    }
    let check: StateCheck
    do {
      let limit = try limit()
      let (facts, zone) = try facts()
      check = StateCheck(facts.map(\.facts), maxAge: limit, at: SystemClock.now(), in: zone)
    } catch {
      // A monitoring system reads standard output, and knows these exit codes only.
      let error = GuardResult.error(error)
      try Console(json: false, quiet: false).show(["HOLDFAST UNKNOWN - \(error.message)"])
      throw ExitCode(StateCheck.Verdict.unknown.rawValue)
    }
    try Console(json: false, quiet: false).show([check.line])
    if check.verdict != .ok { throw ExitCode(check.verdict.rawValue) }
  }

  /// In seconds.
  private func limit() throws -> Int64 {
    guard let maxAge else { return 3600 }
    guard let span = TimeSpan(argument: maxAge), span.milliseconds >= 1000 else {
      throw HoldfastError(
        .usage, "--max-age is \(maxAge.shortened), which is not a time span",
        hint: "use a number and a unit: 90min, 1h, 2d")
    }
    return span.milliseconds / 1000
  }

  private func report() throws {
    guard maxAge == nil else {
      throw HoldfastError(.usage, "--max-age has no effect without --check", hint: "add --check")
    }
    let (all, zone) = try facts()
    let now = SystemClock.now()
    if let why {
      let explanations = try all.map { try Explanation(why, $0, zone, now) }
      return try options.console.show(.array(explanations.map(\.json)), explanations.flatMap(\.lines))
    }
    let listing = StatusListing(databases: all, now: now, zone: zone)
    try options.console.show(listing.json, listing.lines)
  }

  private func facts() throws -> ([DatabaseFacts], ZoneRules) {
    let selections = try options.selections(in: options.configuration())
    guard selections.contains(where: { $0.databasePath != nil }) else {
      throw HoldfastError(
        .usage, "no database is configured",
        hint: "write [[databases]] tables, use --database PATH, or set DATABASE_URL")
    }
    let agents = AgentAnswers()
    return (try selections.map { try DatabaseFacts($0, agents) }, selections[0].zone)
  }
}

/// The answers of agents, each of which is asked once, also if it guards many databases.
final class AgentAnswers {
  private var known: [String: JSONObject] = [:]
  /// An agent that works answers within milliseconds.
  static let patience: Int64 = 5000

  func status(of client: consuming ControlClient) throws -> JSONObject {
    let agent = client.agent
    if let answer = known[agent] { return answer }
    let answer = try client.ask(ControlRequest(.status), timeout: Self.patience)
    known[agent] = answer
    return answer
  }
}

/// The facts of one database, and where they come from.
struct DatabaseFacts {
  private(set) var facts: StateFacts
  let selection: Selection
  let engine: Engine
  /// The agent's answer about itself; nil without one.
  private(set) var agent: JSONValue?

  init(_ selection: Selection, _ agents: AgentAnswers) throws {
    self.selection = selection
    engine = try selection.engine(.optional)
    let name = selection.name ?? selection.databasePath ?? ""
    facts = StateFacts(name: name, path: selection.databasePath ?? "", watch: .nobody)
    do {
      switch try ControlClient.find(for: engine) {
      case .answering(let client): try read(agents.status(of: client))
      case .silent(let holder): facts.watch = .silent(holder)
      case .deaf(let holder): facts.watch = .deaf(holder)
      case .gone: facts.watch = .gone
      case .nobody: break
      }
    } catch let error as HoldfastError where error.code == .busy {
      facts.watch = .silent(error.message)
    } catch let error as HoldfastError where error.code == .permissionDenied || error.code == .refused {
      facts.problem = error.message
    }
    if agent == nil, facts.problem == nil { readRepository() }
  }

  private mutating func read(_ answer: JSONObject) throws {
    guard case .array(let databases)? = answer["databases"], case .object(let about)? = answer["agent"] else { return }
    let folder = engine.folder.resolvingLinks
    let entry = databases.first {
      guard case .object(let keys) = $0, case .string(let known)? = keys["folder"] else { return false }
      return known.resolvingLinks.isExactly(folder)
    }
    guard let entry,
      let known = StateFacts(
        status: entry, isStopping: about["stopping"] == .bool(true), files: engine.environment.files)
    else { return }
    agent = .object(about)
    facts = known
  }

  /// Without an answer, the repository and the files tell what they can.
  private mutating func readRepository() {
    do {
      let newest = try engine.list().first { $0.obstacle == nil }
      facts.newest = newest.map { StateFacts.Backup(id: $0.id, created: $0.metadata.created) }
    } catch let error as HoldfastError where error.code == .pointNotFound {
      // There is no repository yet.
    } catch {
      facts.problem = GuardResult.error(error).message
      return
    }
    if let drills = try? engine.drillFigures() {
      facts.proved = drills.summary.lastPassed
      facts.recovery = drills.drills.first { $0.passed }?.restoreMS
    }
    readFiles()
    for target in (try? selection.targets()) ?? [] {
      guard let record = TargetRecord.load(target, engine), let copy = StateFacts.Copy(record.json) else { continue }
      facts.copies.append(copy)
    }
  }

  private mutating func readFiles() {
    let files = WatchedFiles(database: facts.path, engine.environment.files)
    guard let write = files.lastWrite else {
      let error = HoldfastError(.databaseMissing, "the database \(facts.path) does not exist")
      facts.alarms = [
        .init(
          kind: "missing", since: SystemClock.now(), message: error.message, hint: error.hint, stopsBackups: true)
      ]
      return
    }
    if let newest = facts.newest, write > newest.created { facts.unseenWrite = write }
  }
}
