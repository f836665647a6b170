import ArgumentParser
import BackupEngine

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
    let details = PointDetails(chosen.point, chain: try service.chain(of: chosen.point), zone: chosen.zone)
    try options.console.show(chosen.adding(to: details.json), chosen.lines + details.lines)
  }
}
