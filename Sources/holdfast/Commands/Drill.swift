import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast drill`
struct Drill: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Restore a backup to scratch space, check it, and take the time.",
    discussion: """
      The newest backup, unless another one is named. It is restored as restore does it, into this host's private scratch \
      folder; then come SQLite's integrity check, the rows of each table where they were counted when the backup was made, \
      and the queries that [[drill.assert]] tables of holdfast.toml name, each with the answer that sqlite3 would print: \
      columns with | between them, a line for each row. A query can only read. The database itself is not touched, and \
      nothing decrypted is left behind.

      What came of it is kept with the backups; a backup that passed is shown as proven. Exits with 3 where the backup is \
      damaged or a query has another answer, with 7 where there is no room, and with 5 where the key does not open it. With \
      drill.schedule the agent does this by itself.
      """)

  @OptionGroup var reference: PointOptions

  @Flag(help: "Take any sound backup.")
  var random = false

  @Flag(help: "Run SQLite's quick check in place of the full one.")
  var quick = false

  @OptionGroup var every: EveryDatabaseOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    guard !every.all else { return try EveryDatabase(options: options, all: true).run { try drill($0) } }
    let configuration = try options.configuration(Layer())
    try configuration.requireKnownAssertions()
    try drill(Selection(configuration, options.output))
  }

  private func drill(_ selection: Selection) throws {
    let service = try selection.service(.needed)
    let chosen = try choose(selection, service)
    let request = DrillRequest(assertions: selection.settings.assertions(of: selection.name), isQuick: quick)
    let record = try options.output.working { progress, _ in
      try service.drill(chosen.point, request, progress: progress)
    }
    var report = DrillReport(record: record, zone: selection.zone)
    if let failure = record.failure, failure.speaksAgainstPoint, [.restore, .integrity].contains(failure.step) {
      report.newestWhole = .some(try service.newestWhole(besides: [record.subject.id]))
    }
    try options.console.show(chosen.adding(to: report.json), chosen.lines + report.lines)
    if let failure = record.failure { throw ExitCode(failure.code.exitCode) }
  }

  private func choose(_ selection: Selection, _ service: BackupService) throws -> ChosenPoint {
    guard [reference.id != nil, reference.at != nil, random].count(where: { $0 }) <= 1 else {
      throw HoldfastError(
        .usage, "drill takes one of the ID of a backup, --at TIME and --random",
        hint: "without any, the newest is taken")
    }
    if random {
      var generator = SystemRandomNumberGenerator()
      return ChosenPoint(point: try service.randomPoint(using: &generator), choice: nil, zone: selection.zone)
    }
    guard reference.id == nil, reference.at == nil else { return try reference.choose(selection, service, "drill") }
    return ChosenPoint(point: try service.point("latest"), choice: nil, zone: selection.zone)
  }
}
