import ArgumentParser
import BackupEngine
import BackupPolicy
import Wording

/// `holdfast stats`
struct Stats: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Count the backups and show how much space they use.",
    discussion: """
      Examples:
        holdfast stats
        holdfast stats --all
      """)

  @OptionGroup var every: EveryDatabaseOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try EveryDatabase(options: options, all: every.all).run { try count($0) }
  }

  private func count(_ selection: Selection) throws {
    let engine = try selection.engine(.optional)
    let statistics = try engine.statistics()
    let policy = try selection.settings.retention()
    let holds = try policy.map { try engine.holds($0) } ?? []
    let drills = try engine.drillFigures()
    let now = engine.environment.now()
    // If a setting is wrong, the figures are still shown.
    let maxAge = (try? selection.settings.drillSettings())?.age(at: now)
    let concerns = drills.summary.concerns(maxAge: maxAge, now: now)
    let listing = DrillListing(drills: drills, concerns: concerns, zone: selection.zone)
    let report = StatisticsReport(statistics, holds: holds, drills: listing, zone: selection.zone)
    try options.console.show(report.json, report.lines)
  }
}
