import BackupAgent
import BackupEngine
import BackupPolicy
import Names
import Replication
import Wording

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
  private let selection: Selection
  private let engine: Engine
  /// The agent's answer about itself; nil without one.
  private(set) var agent: JSONValue?
  /// The agent's counts; nil without one.
  private(set) var counters: BackupCounters?

  /// The facts of the database that was named, else of all, and the zone for times.
  static func all(_ options: ServiceOptions) throws -> ([DatabaseFacts], ZoneRules) {
    let selections = try options.selections(in: options.configuration())
    guard selections.contains(where: { $0.databasePath != nil }) else {
      throw HoldfastError(
        .usage, "no database is configured",
        hint: "write [[databases]] tables, use --database PATH, or set DATABASE_URL")
    }
    let agents = AgentAnswers()
    return (try selections.map { try DatabaseFacts($0, agents) }, selections[0].zone)
  }

  /// The facts for a report.
  var observed: ObservedDatabase { ObservedDatabase(facts: facts, folder: engine.folder, agent: agent) }

  init(_ selection: Selection, _ agents: AgentAnswers) throws {
    self.selection = selection
    engine = try selection.engine(.optional)
    let name = selection.name ?? selection.databasePath ?? ""
    facts = StateFacts(name: name, path: selection.databasePath ?? "", watch: .nobody)
    if let refusal = selection.refusal {
      // The folder has the backups of another database.
      (facts.refusal, facts.problemHint) = (refusal.message, refusal.hint)
      return
    }
    do {
      switch try ControlClient.find(for: engine) {
      case .answering(let client):
        let agent = client.agent
        do { try read(agents.status(of: client)) } catch let error as HoldfastError where error.code == .busy {
          facts.watch = .silent(agent)
        } catch {
          try requireEnd(after: error)
          facts.watch = .gone
        }
      case .silent(let holder): facts.watch = .silent(holder)
      case .deaf(let holder): facts.watch = .deaf(holder)
      case .gone: facts.watch = .gone
      case .nobody: break
      }
    } catch let error as HoldfastError where error.code == .permissionDenied || error.code == .refused {
      facts.problem = error.message
    }
    if agent == nil, facts.problem == nil { readRepository() }
    if agent != nil {
      checkFolder()
      readNewest()
    }
  }

  /// - Throws: the error of the question, unless the agent has ended since it was asked.
  private func requireEnd(after error: any Error) throws {
    switch try ControlClient.find(for: engine) {
    case .gone: return
    default: throw error
    }
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
        status: entry, isStopping: about["stopping"] == .bool(true), engine.environment)
    else { return }
    agent = .object(about)
    facts = known
    if case .object(let keys) = entry { counters = BackupCounters(keys["counters"]) }
  }

  /// The agent looks at the folder of backups less often than a person may ask.
  private mutating func checkFolder() {
    do {
      guard try engine.environment.files.status("\(engine.folder)/.state") == nil else { return }
      try engine.requireKnownRepository()
    } catch let error as HoldfastError where error.code == .refused {
      facts.isRepositoryAway = true
      guard !facts.alarms.contains(where: \.stopsBackups) else { return }
      facts.alarms.append(
        .init(
          kind: "failing", since: SystemClock.now(), message: error.message, hint: error.hint, stopsBackups: true))
    } catch {
      // The agent reports what it cannot read.
    }
  }

  /// A backup that was made by hand, which the agent learns of with its own next one.
  private mutating func readNewest() {
    guard let (newest, verified) = try? newest() else { return }
    facts.verified = verified ?? facts.verified
    if let newest, newest.sequence ?? 0 > facts.newest?.sequence ?? 0 { facts.newest = newest }
  }

  /// - Returns: the newest backup, and when the newest one was made that passed a verification.
  private func newest() throws -> (newest: StateFacts.Backup?, verified: Timestamp?) {
    let points = try engine.list().filter { $0.obstacle == nil }
    let newest = points.first.map {
      StateFacts.Backup(id: $0.id, created: $0.metadata.created, sequence: $0.metadata.sequence)
    }
    return (newest, points.first { $0.metadata.verified }?.metadata.created)
  }

  /// Without an answer, the repository and the files tell what they can.
  private mutating func readRepository() {
    do {
      (facts.newest, facts.verified) = try newest()
    } catch let error as HoldfastError where error.code == .pointNotFound {
      // There is no repository yet.
    } catch {
      let error = GuardResult.error(error)
      (facts.problem, facts.problemHint) = (error.message, error.hint)
      facts.isRepositoryAway = error.code == .refused
      return
    }
    if let drills = try? engine.drillFigures() {
      facts.proved = drills.summary.lastPassed
      facts.recovery = drills.drills.first { $0.passed }?.restoreMS
    }
    readFiles()
    facts.copies = ((try? selection.targets()) ?? []).compactMap { StateFacts.Copy(record(of: $0).json) }
  }

  /// The record of the last run, with the backups that were stored since then.
  private func record(of target: Target) -> TargetRecord {
    var record = TargetRecord.load(target, engine) ?? TargetRecord(target)
    if let known = try? RememberedTarget(target, engine) {
      (record.unsent, record.unsentSince) = (known.plan.unsent?.count ?? 0, known.plan.unsent?.since)
    }
    return record
  }

  private mutating func readFiles() {
    let files = engine.environment.files
    let first = FirstUnsaved(facts.path, engine.environment)
    guard let write = WatchedFiles(database: facts.path, files).lastWrite else {
      return recordAbsence(since: first.record(SystemClock.now(), after: facts.newest?.id))
    }
    // A file that was moved or copied here may have a time of change from before the newest backup.
    let status = try? files.status(facts.path)
    let last = max(write, status.map { Timestamp(milliseconds: $0.changed / 1_000_000) } ?? write)
    guard let newest = facts.newest, last > newest.created else { return first.forget() }
    facts.unseenWrite = first.record(last, after: newest.id)
  }

  /// - Parameter since: when a look first found no file.
  private mutating func recordAbsence(since: Timestamp) {
    let error = HoldfastError(.databaseMissing, "the database \(facts.path) does not exist")
    facts.unseenWrite = facts.newest == nil ? nil : since
    facts.alarms = [
      .init(kind: "missing", since: since, message: error.message, hint: error.hint, stopsBackups: true)
    ]
  }

  // MARK: The past

  /// Whether a backup holds the state of a time, and if not, why not.
  ///
  /// - Throws: `usage` if the text is not a time in the past.
  func explanation(of text: String, at now: Timestamp, in zone: ZoneRules) throws -> Explanation {
    guard case .moment(let time) = try PointInTime(text, name: "--why", zone: zone, now: now) else {
      throw HoldfastError(.usage, "--why needs a time", hint: "use --why 14:03, or --why 'yesterday 14:03'")
    }
    // Without the folder of backups the agent may still explain the time.
    let backups = (try? engine.list()) ?? []
    return Explanation(of: time, observed, backups: backups, try journal(), at: now, in: zone)
  }

  /// The decisions that the agent knows, else those that it recorded.
  private func journal() throws -> DecisionJournal {
    let file = DecisionFile(engine, try selection.logger())
    guard agent != nil, case .answering(var client) = try ControlClient.find(for: engine) else { return file.load() }
    let answer = try client.ask(ControlRequest(.decisions, database: facts.name), timeout: AgentAnswers.patience)
    guard case .array(let databases)? = answer["databases"], case .object(let keys)? = databases.first else {
      return file.load()
    }
    return DecisionJournal(keys["decisions"]) ?? file.load()
  }
}
