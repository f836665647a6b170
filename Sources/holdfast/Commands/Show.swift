import ArgumentParser
import BackupEngine

/// `holdfast show`
struct Show: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Show everything that is known of a backup.")

  @Argument(help: "The backup's ID, a unique prefix of it, or latest.")
  var id: String

  @OptionGroup var options: ServiceOptions

  func run() throws {
    let point = try options.selection().service(.optional).point(id)
    try options.console.show(point.metadata.json, PointDetails(point).lines)
  }
}
