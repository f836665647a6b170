import ArgumentParser
import BackupEngine
import BackupPolicy
import Wording

/// `holdfast query`
struct Query: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run one SQL query on a backup, without restoring it.",
    usage: "holdfast query (<id> | --at <time>) (<sql> | --file <path>) [<options>]",
    discussion: """
      The statement can only read; anything else ends with exit code 8. The backup is decrypted to the scratch \
      folder of this host, and is gone when the command ends. The SQL may also come from standard input (-).

      Examples:
        holdfast query latest "SELECT count(*) FROM orders"
        holdfast query --at '10 minutes ago' "SELECT * FROM users" --csv
        holdfast query latest --file report.sql --json
        holdfast query latest "SELECT count(*) FROM orders" --from s3://bucket/shop
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case table, csv, json
  }

  @Argument(
    help: ArgumentHelp("The backup's ID, a unique prefix of it, or latest; then the SQL.", valueName: "id> <sql"),
    completion: BackupCompletion.firstID)
  var words: [String] = []

  @Option(help: ArgumentHelp("The newest backup that is not after this time.", valueName: "time"))
  var at: String?

  @OptionGroup var statement: StatementOptions

  @Option(help: "How the rows are printed (default: table).")
  var format: Format?

  @Flag(help: "Print CSV.")
  var csv = false

  @Flag(help: "Accept a backup that this host cannot authenticate.")
  var acceptUnauthenticated = false

  @OptionGroup(title: "Targets") var remote: RemoteOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try remote.check()
    let format = try chosenFormat()
    var words = words[...]
    let id = at == nil ? words.popFirst() : nil
    let sql = try statement.statement(words.popFirst())
    guard words.isEmpty else {
      throw HoldfastError(
        .usage, "query takes one statement, and there is more: \(words.joined(separator: " "))",
        hint: "put the SQL in quotes")
    }
    let selection = try options.selection()
    let engine = try selection.engine(.needed)
    let access = RemoteAccess(
      remote: remote, newest: nil, service: options, acceptsUnauthenticated: acceptUnauthenticated)
    try access.reading(PointReference(id: id, at: at), "query", selection, engine) { try run(sql, $1, $0, format) }
  }

  private func run(_ sql: String, _ chosen: ChosenPoint, _ engine: Engine, _ format: Format) throws {
    if format != .json, !options.console.quiet { Console.tell(chosen.lines.filter { !$0.isEmpty }) }
    try options.output.working { progress, clear in
      let scratch = try engine.scratch(
        chosen.point, progress: progress, acceptUnauthenticated: acceptUnauthenticated)
      defer { scratch.close() }
      clear()
      try print(PointQuery(scratch, progress: progress), sql, format)
    }
  }

  private func chosenFormat() throws -> Format {
    let asked = [format, csv ? .csv : nil, options.console.json ? .json : nil].compactMap(\.self)
    guard Set(asked).count <= 1 else {
      throw HoldfastError(.usage, "--format, --csv and --json name different formats", hint: "give one of them")
    }
    return asked.first ?? .table
  }

  private func print(_ query: PointQuery, _ sql: String, _ format: Format) throws {
    let stream = ResultStream()
    var rows: any RowFormat =
      switch format {
      case .table: TableRows(stream: stream)
      case .csv: CSVRows(stream: stream)
      case .json: JSONRows(stream: stream)
      }
    try query.run(sql) {
      try rows.begin($0)
    } row: {
      try rows.add($0)
    }
    try rows.end()
  }
}
