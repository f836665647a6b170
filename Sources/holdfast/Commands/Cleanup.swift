import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast cleanup`
struct Cleanup: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Remove the backups that no rule keeps.",
    discussion: """
      A flag replaces all rules that are configured. Whatever the rules say, the newest verified backup stays, and so does \
      a safety backup that is younger than a week, and what an anomalous backup holds (see holdfast accept). --dry-run shows every backup with the reasons.
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
    guard let policy = try retention.policy(selection.settings) else {
      throw HoldfastError(
        .usage, "cleanup has no rule to go by",
        hint:
          "use --keep N, --retention-days N, --max-backups N or --min-free-space SIZE, or set one of them in holdfast.toml"
      )
    }
    let service = try selection.service(.optional)
    let decision =
      dryRun
      ? try service.planCleanup(policy)
      : try options.output.working { progress, _ in try service.cleanup(policy, progress: progress) }
    try show(CleanupReport(decision: decision, executed: !dryRun))
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
