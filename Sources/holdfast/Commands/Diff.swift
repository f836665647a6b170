import ArgumentParser
import BackupEngine
import BackupPolicy
import Names
import Wording

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
        holdfast diff latest live --from s3://bucket/shop
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

  @OptionGroup(title: "Targets") var remote: RemoteOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try remote.check()
    guard limit >= 0 else {
      throw HoldfastError(.usage, "--limit must not be negative, and is \(limit)", hint: "use 0 or more")
    }
    let selection = try options.selection()
    let engine = try selection.engine(.needed)
    let references = try sides()
    guard remote.isUsed else {
      let sides = try references.map { try side($0, selection, engine) }
      return try compare(sides[0], sides[1], engine)
    }
    let access = RemoteAccess(
      remote: remote, newest: nil, service: options, acceptsUnauthenticated: acceptUnauthenticated)
    let wanted = try references.filter { $0.id != "live" }.map { try $0.remote(selection, engine, "diff") }
    try access.fetching(wanted, selection, engine) { fetched in
      var chosen = fetched.chosen[...]
      let sides = references.map { $0.id == "live" ? .live : .point(chosen.removeFirst().point) as DifferenceSide }
      try compare(sides[0], sides[1], fetched.withLive)
    }
  }

  private func compare(_ left: DifferenceSide, _ right: DifferenceSide, _ engine: Engine) throws {
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

  private func sides() throws -> [PointReference] {
    guard references.count == (at == nil ? 2 : 1) else {
      throw HoldfastError(
        .usage, "diff needs two backups, or --at TIME and one; either may be live",
        hint: "holdfast diff latest live; holdfast list shows the IDs")
    }
    let named = references.map { PointReference(id: $0) }
    return at.map { [PointReference(at: $0)] + named } ?? named
  }

  private func side(_ reference: PointReference, _ selection: Selection, _ engine: Engine) throws -> DifferenceSide {
    if reference.id == "live" { return .live }
    return .point(try reference.choose(selection, engine, "diff").point)
  }
}
