import ArgumentParser
import BackupEngine
import BackupPolicy
import Glibc
import Wording

/// `holdfast list`
struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the backups, newest first.",
    discussion: """
      Incrementals are listed below their full, with the size of the archive and the number of pages in it. On a \
      terminal a long run of incrementals is shortened, and a line says so. With --from the names in the target \
      are listed, and only the beginning of the newest archive is downloaded, to check that the key proves it.

      Examples:
        holdfast list --short
        holdfast list --limit 10
        holdfast list --all
        holdfast list --from s3://bucket/shop
      """)

  @OptionGroup var every: EveryDatabaseOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  @OptionGroup(title: "Targets") var remote: RemoteOptions

  @Option(help: ArgumentHelp("Show only the newest N.", valueName: "n"))
  var limit: Int?

  @Flag(help: "Do not list incrementals below their full.")
  var flat = false

  @Flag(help: "Show one line of at most 80 columns for each backup.")
  var short = false

  func run() throws {
    if let limit, limit < 1 {
      throw HoldfastError(.usage, "--limit must be at least 1, not \(limit)", hint: "leave it out to list all")
    }
    try remote.check(all: every.all)
    try EveryDatabase(options: options, all: every.all).run { remote.isUsed ? try listRemote($0) : try list($0) }
  }

  /// Downloads no archive, but for the header of the newest: the names describe them.
  private func listRemote(_ selection: Selection) throws {
    let access = RemoteAccess(remote: remote, newest: nil, service: options, isAboutCopies: true)
    let listing = try access.listing(selection, selection.engine(.optional))
    if options.console.json, let doubt = listing.doubt { Console.tell(["holdfast: warning: \(doubt.printable)"]) }
    try options.console.show(listing.json(limit), listing.lines(limit))
  }

  private func list(_ selection: Selection) throws {
    let (points, drills) = try selection.engine(.optional).listWithDrills()
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
    return TreeListing(
      points: points, limit: count, folds: isatty(STDOUT_FILENO) != 0, proof: proof, zone: zone, commands: .caller
    ).lines
  }
}
