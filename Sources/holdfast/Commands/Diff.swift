import ArgumentParser
import BackupEngine
import BackupPolicy
import Names

/// `holdfast diff`
struct Diff: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare two backups: their rows and their schemas.",
    usage: "holdfast diff (<from> | --at <time>) <to> [<options>]",
    discussion: """
      Either may be live, which is the database as it is now. Rows are identified by the declared primary key, or \
      else by rowid. With --exit-code the exit code is 1 if there is a difference.

      Examples:
        holdfast diff backup_20261128_132032 latest --summary
        holdfast diff latest live --table users
        holdfast diff --at 'yesterday 14:03' live
      """)

  @Argument(
    help: ArgumentHelp("Two backups: IDs, unique prefixes, latest or live.", valueName: "from> <to"),
    completion: BackupCompletion.idsOrLive)
  var references: [String] = []

  @Option(help: ArgumentHelp("The first is the newest backup that is not after this time.", valueName: "time"))
  var at: String?

  @Option(help: "Compare only this table; may be repeated.")
  var table: [String] = []

  @Flag(help: "Show only how many rows differ.")
  var summary = false

  @Option(help: "Show at most this many rows of each table.")
  var limit = 100

  @Flag(help: "Exit with 1 if there is a difference.")
  var exitCode = false

  @Flag(help: "Accept a backup that this host cannot authenticate.")
  var acceptUnauthenticated = false

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    guard limit >= 0 else {
      throw HoldfastError(.usage, "--limit must not be negative, and is \(limit)", hint: "use 0 or more")
    }
    let selection = try options.selection()
    let engine = try selection.engine(.needed)
    let (left, right) = try sides(selection, engine)
    var request = DifferenceRequest()
    request.tables = table.map { Identifier($0) }
    request.limit = summary ? 0 : limit
    request.acceptUnauthenticated = acceptUnauthenticated
    let difference = try options.output.working { progress, _ in
      try engine.difference(left, right, request, progress: progress)
    }
    let report = DifferenceReport(before: left.words, after: right.words, difference: difference, summary: summary)
    try options.console.show(report.json, report.lines)
    if exitCode, !difference.isEmpty { throw ExitCode(1) }
  }

  private func sides(_ selection: Selection, _ engine: Engine) throws -> (DifferenceSide, DifferenceSide) {
    guard references.count == (at == nil ? 2 : 1) else {
      throw HoldfastError(
        .usage, "diff needs two backups, or --at TIME and one; either may be live",
        hint: "holdfast diff latest live; holdfast list shows the IDs")
    }
    func side(_ reference: PointReference) throws -> DifferenceSide {
      if reference.id == "live" { return .live }
      return .point(try reference.choose(selection, engine, "diff").point)
    }
    let named = references.map { PointReference(id: $0) }
    let both = at.map { [PointReference(at: $0)] + named } ?? named
    return (try side(both[0]), try side(both[1]))
  }
}
