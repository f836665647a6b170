import ArgumentParser
import BackupEngine
import BackupPolicy
import Wording

/// `holdfast cleanup`
struct Cleanup: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Remove the backups that no rule keeps.",
    discussion: """
      A backup that any rule keeps, stays; all (or -1) instead of N keeps every one. A rule among the flags replaces all configured rules. Pinned \
      backups, the newest verified backup, safety backups younger than a week and everything that these need are \
      never removed. --dry-run shows each backup with the reasons.

      Examples:
        holdfast cleanup --dry-run
        holdfast cleanup --keep-daily 7 --keep-weekly 5 --keep-tag release
        holdfast cleanup --simulate 90d
      """)

  @OptionGroup(title: "Rules") var retention: RetentionOptions

  @Flag(help: "Show what would be removed, and remove nothing.")
  var dryRun = false

  @Option(
    help: ArgumentHelp(
      "Show the backups after this long, such as 90d, if backups continue as before. Removes nothing.",
      valueName: "span"))
  var simulate: String?

  @Flag(help: "With --simulate: also show every full at the end.")
  var verbose = false

  // Cleanup never asks. With the flag, scripts that answer the question in advance keep working.
  @Flag(help: "Has no effect, because cleanup never asks.")
  var yes = false

  @Flag(help: "Trust the clock of this machine, and remember that.")
  var trustClock = false

  @OptionGroup var every: EveryDatabaseOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try EveryDatabase(options: options, all: every.all).run(retention.flags) { try clean($0) }
  }

  private func clean(_ selection: Selection) throws {
    if let simulate { return try show(simulation(simulate, selection), selection.zone) }
    let policy = try policy(selection.settings)
    // Without the configured key, forged backups would count as much as authentic ones, and
    // displace them.
    let engine = try selection.engine(.needed)
    let reliance: ClockReliance = trustClock ? .trusting : .refusing
    let awaited = try selection.demands(engine).awaited()
    let decision =
      dryRun
      ? try engine.planCleanup(policy, awaited: awaited, clock: reliance)
      : try options.output.working { progress, _ in
        try engine.cleanup(policy, awaited: awaited, clock: reliance, progress: progress)
      }
    try show(CleanupReport(decision: decision, executed: !dryRun))
  }

  private func simulation(_ text: String, _ selection: Selection) throws -> RepositorySimulation {
    guard let days = CalendarSpan(text)?.wholeDays, (1...3660).contains(days) else {
      throw HoldfastError(
        .usage, "--simulate '\(text.shortened)' is not a span of 1 day to 10 years", hint: "use 90d, 6m or 1y, say")
    }
    var settings = RepositorySimulation.Settings()
    settings.mode = try selection.settings.mode()
    settings.schedules = try selection.settings.schedules()
    settings.zone = try selection.settings.zone()
    settings.compaction = try selection.settings.boolean(.thin) ? CompactionPolicy() : nil
    settings.retention = try retention.policy(selection.settings)
    return try selection.engine(.optional).simulate(settings, days: days)
  }

  private func show(_ simulation: RepositorySimulation, _ zone: ZoneRules) throws {
    let report = SimulationReport(simulation: simulation, zone: zone)
    try options.console.show(report.json, report.lines(verbose: verbose))
  }

  private func policy(_ settings: Settings) throws -> RetentionPolicy {
    guard var policy = try retention.policy(settings) else {
      throw HoldfastError(
        .usage, "cleanup has no rule",
        hint:
          "use --keep N, --keep-daily N, --retention-days N or --min-free-space SIZE, say, or set one of them in holdfast.toml"
      )
    }
    // An anomaly holds the backups that the configured rules keep, even if this call uses looser
    // rules. If the configuration cannot be read, it holds all.
    if retention.replaceRules { policy.standingRules = (try? settings.retentionRules()) ?? RetentionRules() }
    return policy
  }

  private func show(_ report: CleanupReport) throws {
    guard let refused = report.decision.refused else {
      return try options.console.show(report.json, options.output.quiet && !dryRun ? [] : report.lines)
    }
    let error = HoldfastError(.refused, "nothing was removed: \(refused)", hint: "give each rule at least 1")
    guard options.console.json else { throw error }
    try options.console.show(report.json, [])
    throw ExitCode(error.code.exitCode)
  }
}
