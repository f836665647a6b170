import ArgumentParser
import BackupEngine
import BackupPolicy
import Wording

/// `holdfast compact`
struct Compact: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Merge old incrementals, so that chains stay short.",
    discussion: """
      After an hour one backup a minute stays, after a day one an hour, after a week fulls only. A merged backup \
      goes into the next one that stays, whose content does not change. Backups by hand, with a tag, or kept by a \
      configured rule stay. The agent does this by itself if thin is true. --dry-run shows each backup with the \
      reasons.

      Examples:
        holdfast compact --dry-run
        holdfast compact --all
      """)

  @Flag(help: "Show what would be merged, and merge nothing.")
  var dryRun = false

  @Flag(help: "Trust the clock of this machine, and remember that.")
  var trustClock = false

  @OptionGroup var every: EveryDatabaseOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try EveryDatabase(options: options, all: every.all).run { try compact($0) }
  }

  private func compact(_ selection: Selection) throws {
    // As in cleanup: without the configured key, forged backups would count.
    let engine = try selection.engine(.needed)
    let policy = CompactionPolicy()
    let reliance: ClockReliance = trustClock ? .trusting : .refusing
    let retention = try selection.settings.retention()
    let promised = try selection.demands(engine).promised()
    guard !dryRun else {
      return try show(
        CompactionReport(
          planned: engine.planCompaction(policy, keeping: retention, promised: promised, clock: reliance),
          commands: .caller))
    }
    let outcome = try options.output.working { progress, _ in
      try engine.compact(policy, keeping: retention, promised: promised, clock: reliance, progress: progress)
    }
    try show(CompactionReport(outcome, commands: .caller))
    // An unreadable backup is worse than one that another process is changing.
    let codes = outcome.skipped.map(\.error.code.exitCode)
    if let code = codes.first(where: { $0 != 6 }) ?? codes.first { throw ExitCode(code) }
  }

  private func show(_ report: CompactionReport) throws {
    try options.console.show(report.json, options.output.quiet && !dryRun ? report.skippedLines : report.lines)
  }
}
