import ArgumentParser
import BackupEngine
import BackupPolicy
import Names

/// `holdfast diff`
struct Diff: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show which rows and which parts of the schema differ between two backups.",
    usage: "holdfast diff <from> <to> [--at <time>] [--table <table> ...] [--summary] [--limit <limit>] [<options>]",
    discussion: """
      Either may be live, which is the database as it is now. With --at TIME the first is left out. Rows are told apart by \
      the declared primary key, else by rowid; without an INTEGER PRIMARY KEY a VACUUM may give rows other rowids, and they \
      then show as changed. Values are compared exactly, by type and by bytes. Of a table whose columns changed, the common \
      ones are compared; where its key changed, all of its rows are removed and added. The rows of a virtual table are those of \
      its shadow tables.

      Exits with 0 whether they differ or not; with --exit-code, with 1 where they do.
      """)

  @Argument(help: ArgumentHelp("Two backups: IDs, prefixes, latest or live.", valueName: "from> <to"))
  var references: [String] = []

  @Option(help: ArgumentHelp("Take the newest backup that is not after this time as the first.", valueName: "time"))
  var at: String?

  @Option(help: "Compare only this table; may be given several times.")
  var table: [String] = []

  @Flag(help: "Show how many rows differ, and not which.")
  var summary = false

  @Option(help: "How many rows to show of each table.")
  var limit = 100

  @Flag(help: "Exit with 1 where they differ.")
  var exitCode = false

  @Flag(help: "Read a backup that this host cannot authenticate.")
  var acceptUnauthenticated = false

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    guard limit >= 0 else { throw HoldfastError(.usage, "--limit must not be negative, and is \(limit)") }
    let selection = try options.selection()
    let service = try selection.service(.needed)
    let (left, right) = try sides(selection, service)
    var request = DifferenceRequest()
    request.tables = table.map { Identifier($0) }
    request.limit = summary ? 0 : limit
    request.acceptUnauthenticated = acceptUnauthenticated
    let difference = try options.output.working { progress, _ in
      try service.difference(left, right, request, progress: progress)
    }
    let report = DifferenceReport(before: left.words, after: right.words, difference: difference, summary: summary)
    try options.console.show(report.json, report.lines)
    if exitCode, !difference.isEmpty { throw ExitCode(1) }
  }

  private func sides(_ selection: Selection, _ service: BackupService) throws -> (DifferenceSide, DifferenceSide) {
    guard references.count == (at == nil ? 2 : 1) else {
      throw HoldfastError(
        .usage, "diff needs two backups, or --at TIME and one; either may be live",
        hint: "holdfast diff latest live; holdfast list shows the IDs")
    }
    func side(_ reference: PointReference) throws -> DifferenceSide {
      if reference.id == "live" { return .live }
      return .point(try reference.choose(selection, service, "diff").point)
    }
    let named = references.map { PointReference(id: $0) }
    let both = at.map { [PointReference(at: $0)] + named } ?? named
    return (try side(both[0]), try side(both[1]))
  }
}
