import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast show`
struct Show: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show everything that is known of a backup, and what a restore of it would read.")

  @OptionGroup var reference: PointOptions
  @OptionGroup var options: ServiceOptions

  func run() throws {
    let selection = try options.selection()
    let service = try selection.service(.optional)
    let chosen = try reference.choose(selection, service, "show")
    let details = PointDetails(
      try service.drillFigures().marked(chosen.point), chain: try service.chain(of: chosen.point),
      holds: try holds(selection.settings, service),
      zone: chosen.zone)
    try options.console.show(chosen.adding(to: details.json), chosen.lines + details.lines)
  }

  /// What anomalies hold, by the rules that are configured. Finding out reads every archive's head, so only where there is one.
  private func holds(_ settings: Settings, _ service: BackupService) throws -> [AnomalyHold] {
    guard let policy = try RetentionOptions.configured(settings), try service.statistics().anomalous > 0 else {
      return []
    }
    return try service.holds(policy)
  }
}
