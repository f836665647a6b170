import ArgumentParser
import BackupAgent
import BackupEngine
import BackupPolicy
import Names
import ObjectStorage
import Replication
import Wording

/// `holdfast sync`
struct Sync: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Copy the backups to the targets now.",
    discussion: """
      It uploads what is missing in each target, the newest backup first, and removes the copies that no rule keeps. \
      If a store cannot be reached, it tries again until it is interrupted; with --once it ends. --repair downloads \
      every archive in the target, and replaces those that have changed there. If an agent runs, the agent does it at \
      once; --repair and --new-folder need the agent to be stopped.

      Examples:
        holdfast sync --dry-run
        holdfast sync s3 --once
        holdfast sync s3 --repair
        holdfast sync nas --new-folder
      """)

  @Argument(help: "The name of a target (default: all).")
  var name: String?

  @Flag(help: "Show what would be uploaded and removed, and write nothing.")
  var dryRun = false

  @Flag(help: "End at the first failure of a store, for cron.")
  var once = false

  @Flag(help: "Read every archive in the target, and upload again what is damaged there.")
  var repair = false

  @Flag(help: "Begin anew on another disk in place of the one that the target was on; needs a name.")
  var newFolder = false

  @OptionGroup var target: TargetOptions
  @OptionGroup var every: EveryDatabaseOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    guard !newFolder || name != nil && !dryRun else {
      throw HoldfastError(
        .usage, "--new-folder needs the name of a target, and goes without --dry-run",
        hint: "holdfast sync NAME --new-folder; holdfast targets lists the names")
    }
    try EveryDatabase(options: options, all: every.all).run(target.flags) { try copy($0) }
  }

  private func copy(_ selection: Selection) throws {
    let targets = try selection.configuredTargets(named: name)
    let engine = try selection.engine(.needed)
    var documents: [JSONValue] = []
    var codes: [Int32] = []
    for target in targets {
      do {
        let report = try report(target, engine, selection.zone)
        try options.console.show(options.output.quiet && !dryRun ? [] : report.lines)
        documents.append(report.json)
      } catch {
        let known = (error as? StoreError)?.error(at: target.name) ?? GuardResult.error(error)
        if known.code == .interrupted || targets.count == 1 { throw known }
        codes.append(known.code.exitCode)
        documents.append(
          .object([
            "name": .string(target.name), "url": .string(target.address), "error": ErrorReport.json(known),
          ]))
        if !options.console.json { _ = ErrorReport(known, asJSON: false).print() }
      }
    }
    if options.console.json { try options.console.show(.array(documents), []) }
    if let worst = EveryDatabase.worst(codes) { throw ExitCode(worst) }
  }

  private func report(_ target: Target, _ engine: Engine, _ zone: ZoneRules) throws -> ReplicationReport {
    if dryRun {
      let plan = try options.output.working { progress, _ in
        try target.withStore(progress) { try replicator(target, engine, $0).plan(progress: progress) }
      }
      return ReplicationReport(target, planned: plan, zone: zone)
    }
    let outcome = try options.output.working { progress, _ -> ReplicationOutcome in
      // Only one process writes to a target, and the agent then knows the result.
      if !repair, !newFolder, let outcome = try TargetDialogue(engine).sync(target, progress) { return outcome }
      return try target.withStore(progress) { store in
        let replicator = replicator(target, engine, store)
        if newFolder { try replicator.acceptFolder() }
        return try recorded(target, engine, replicator.usage) {
          try Patience(retries: !once, progress: progress, console: options.console).run(replicator)
        }
      }
    }
    if let obstacle = outcome.obstacle {
      throw HoldfastError(
        .refused, "target \(target.name): nothing is written: \(obstacle.reason)", hint: obstacle.advice(target))
    }
    return ReplicationReport(target, executed: outcome, zone: zone)
  }

  /// Records the ending of a run, as the agent does. Without the record `status` and `targets` show
  /// the run before.
  private func recorded(
    _ target: Target, _ engine: Engine, _ usage: @autoclosure () -> TargetUsage?, _ run: () throws -> ReplicationOutcome
  ) throws -> ReplicationOutcome {
    do {
      let outcome = try run()
      try? TargetRecord.recordRun(outcome, usage(), of: target, engine)
      return outcome
    } catch {
      if GuardResult.error(error).code != .interrupted {
        try? TargetRecord.recordFailure(error, of: target, engine)
      }
      throw error
    }
  }

  private func replicator(_ target: Target, _ engine: Engine, _ store: any ObjectStore) -> Replicator {
    let replicator = Replicator(engine: engine, target: target, store: store)
    replicator.audits = repair
    return replicator
  }
}

extension ReplicationObstacle {
  /// The next step.
  func advice(_ target: Target) -> String {
    switch self {
    case .foreign, .takenOver: "if this machine is the right one: holdfast targets take-over \(target.name)"
    case .fullNeeded: "holdfast create && holdfast sync \(target.name)"
    }
  }
}
