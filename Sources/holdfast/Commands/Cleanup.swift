import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast cleanup`
struct Cleanup: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Remove the backups that no rule keeps.",
    discussion: """
      The rules are restic's: what one of them keeps, stays. A flag replaces all rules that are configured. --keep, \
      --retention-days and --max-backups count manual and scheduled fulls, rules of the calendar see all backups, in the zone \
      that timezone names. Whatever the rules say, the newest verified backup stays, and so does a safety backup that is \
      younger than a week, what an anomalous backup holds (see holdfast accept), and what others need. --dry-run shows \
      every backup with the reasons.
      """)

  @OptionGroup var retention: RetentionOptions

  @Flag(help: "Show what would be removed and remove nothing.")
  var dryRun = false

  // The question was never asked here; scripts that answer it beforehand keep working.
  @Flag(help: "Accepted for the sake of scripts; cleanup never asks.")
  var yes = false

  @OptionGroup var options: ServiceOptions

  func run() throws {
    let selection = try options.selection(retention.flags)
    let policy = try policy(selection.settings)
    let service = try selection.service(.optional)
    let decision =
      dryRun
      ? try service.planCleanup(policy)
      : try options.output.working { progress, _ in try service.cleanup(policy, progress: progress) }
    try show(CleanupReport(decision: decision, executed: !dryRun))
  }

  private func policy(_ settings: Settings) throws -> RetentionPolicy {
    guard var policy = try retention.policy(settings) else {
      throw HoldfastError(
        .usage, "cleanup has no rule to go by",
        hint:
          "use --keep N, --keep-daily N, --retention-days N or --min-free-space SIZE, say, or set one of them in holdfast.toml"
      )
    }
    // What an anomaly holds is what the configuration keeps, not what this call is content with; all, where that is unreadable.
    if retention.replaceRules { policy.standingRules = (try? RetentionOptions.rules(settings)) ?? RetentionRules() }
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
