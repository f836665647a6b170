import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast compact`
struct Compact: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Merge old incrementals, so that chains stay short.",
    discussion: """
      Every point stays for an hour, then the last of each minute for a day, then the last of each hour for a week, then \
      fulls only. What goes is merged into the next point that stays, whose content does not change. Points that were asked \
      for, tagged or described stay, and so do the newest one and whatever is damaged or doubtful; and so does what a \
      configured rule names, such as the last of each day by keep_daily (see holdfast cleanup). The agent does this by \
      itself unless thin is false. --dry-run shows which points would go, which a rule keeps, and why.
      """)

  @Flag(help: "Show what would be merged and merge nothing.")
  var dryRun = false

  @Flag(help: "This machine's clock is right, whatever it looked like; remember that.")
  var trustClock = false

  @OptionGroup var every: EveryDatabaseOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try EveryDatabase(options: options, all: every.all).run { try compact($0) }
  }

  private func compact(_ selection: Selection) throws {
    // As in cleanup: without the configured key, forged backups would count.
    let service = try selection.service(.needed)
    let policy = ThinningPolicy()
    let reliance: ClockReliance = trustClock ? .trusting : .refusing
    let retention = try selection.settings.retention()
    guard !dryRun else {
      return try show(CompactionReport(planned: service.planCompaction(policy, keeping: retention, clock: reliance)))
    }
    let outcome = try options.output.working { progress, _ in
      try service.compact(policy, keeping: retention, clock: reliance, progress: progress)
    }
    try show(CompactionReport(outcome))
    // What could not be read is worse than what somebody else is at.
    let codes = outcome.skipped.map(\.error.code.exitCode)
    if let code = codes.first(where: { $0 != 6 }) ?? codes.first { throw ExitCode(code) }
  }

  private func show(_ report: CompactionReport) throws {
    try options.console.show(report.json, options.output.quiet && !dryRun ? report.skippedLines : report.lines)
  }
}
