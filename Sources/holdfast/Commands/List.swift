import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast list`
struct List: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "List the backups, newest first.")

  @OptionGroup var options: ServiceOptions

  @Option(help: ArgumentHelp("Show the newest N only.", valueName: "n"))
  var limit: Int?

  func run() throws {
    if let limit, limit < 1 {
      throw HoldfastError(.usage, "--limit must be at least 1, not \(limit)", hint: "leave it out to list all")
    }
    let points = try options.selection().service(.optional).list()
    let shown = Array(points.prefix(limit ?? points.count))
    try options.console.show(
      .array(shown.map(\.metadata.json)), PointListing(points: shown, total: points.count).lines)
  }
}
