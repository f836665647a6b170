import ArgumentParser
import BackupEngine
import BackupPolicy
import Glibc

/// `holdfast list`
struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the backups, newest first.",
    discussion: """
      Incrementals stand below the full that they lead back to, each with the size of its archive and the pages in it. On a \
      terminal long runs of them are cut in the middle, which a line then says.
      """)

  @OptionGroup var every: EveryDatabaseOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  @Option(help: ArgumentHelp("Show the newest N only.", valueName: "n"))
  var limit: Int?

  @Flag(help: "Show every backup by itself instead of incrementals below their full.")
  var flat = false

  @Flag(help: "Show a line for each backup, which fits 80 columns.")
  var short = false

  func run() throws {
    if let limit, limit < 1 {
      throw HoldfastError(.usage, "--limit must be at least 1, not \(limit)", hint: "leave it out to list all")
    }
    try EveryDatabase(options: options, all: every.all).run { try list($0) }
  }

  private func list(_ selection: Selection) throws {
    let (points, drills) = try selection.service(.optional).listWithProofs()
    let count = min(limit ?? points.count, points.count)
    try options.console.show(
      .array(points.prefix(count).map(\.json)), lines(points, count, drills.newestProven, selection.zone))
  }

  private func lines(
    _ points: [StoredPoint], _ count: Int, _ proof: DrillFigures.Proof?, _ zone: ZoneRules
  ) -> [String] {
    if short { return ShortListing(points: Array(points.prefix(count)), total: points.count, zone: zone).lines }
    guard !flat else {
      return PointListing(points: Array(points.prefix(count)), total: points.count, proof: proof, zone: zone).lines
    }
    return TreeListing(points: points, limit: count, folds: isatty(STDOUT_FILENO) != 0, proof: proof, zone: zone).lines
  }
}
