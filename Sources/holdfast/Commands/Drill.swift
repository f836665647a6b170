import ArgumentParser
import BackupEngine
import BackupPolicy
import Replication
import Wording

/// `holdfast drill`
struct Drill: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Restore a backup to scratch space, check it, and measure the time.",
    discussion: """
      Without an ID it takes the newest backup. It runs SQLite's checks, compares the number of rows and asks the \
      queries of [[drill.assert]] in holdfast.toml. A backup that passed is shown as proven. The database is not \
      touched, and nothing decrypted stays on the disk. If the backup is damaged or an answer differs, the exit \
      code is 3.

      Examples:
        holdfast drill
        holdfast drill --random --quick
        holdfast drill --from s3://bucket/shop
      """)

  @OptionGroup var reference: PointOptions

  @Flag(help: "Choose any sound backup.")
  var random = false

  @Flag(help: "Run SQLite's quick check instead of the full one.")
  var quick = false

  @Flag(help: "With --from: accept a backup that no key proves.")
  var acceptUnauthenticated = false

  @OptionGroup var every: EveryDatabaseOptions
  @OptionGroup(title: "Targets") var remote: RemoteOptions
  @OptionGroup var newest: NewestOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try remote.check(newest, all: every.all)
    try remote.requireOne(for: "drill")
    guard !every.all else { return try EveryDatabase(options: options, all: true).run { try drill($0) } }
    let configuration = try options.configuration(Layer())
    try configuration.requireKnownAssertions()
    try drill(Selection(configuration, options.output))
  }

  private func drill(_ selection: Selection) throws {
    let engine = try selection.engine(.needed)
    guard remote.isUsed else { return try drill(choose(selection, engine), selection, engine) }
    try requireOneReference()
    let wanted: RemoteReference =
      random
      ? .random
      : reference.id == nil && reference.at == nil
        ? .latest : try PointReference(id: reference.id, at: reference.at).remote(selection, engine, "drill")
    let access = RemoteAccess(
      remote: remote, newest: newest, service: options, acceptsUnauthenticated: acceptUnauthenticated,
      isAboutCopies: true)
    try access.fetching([wanted], selection, engine) { try drill($0.chosen[0], selection, $0.engine) }
  }

  private func drill(_ chosen: ChosenPoint, _ selection: Selection, _ engine: Engine) throws {
    let request = DrillRequest(assertions: selection.settings.assertions(of: selection.name), isQuick: quick)
    let record = try options.output.working { progress, _ in
      try engine.drill(chosen.point, request, progress: progress)
    }
    var report = DrillReport(record: record, zone: selection.zone, commands: .caller)
    if let failure = record.failure, failure.speaksAgainstPoint, [.restore, .integrity].contains(failure.step) {
      report.newestWhole = .some(try engine.newestWhole(besides: [record.subject.id]))
    }
    try options.console.show(chosen.adding(to: report.json), chosen.lines + report.lines)
    guard let failure = record.failure else { return }
    Console.reportFailure("the drill of \(record.subject.id) failed: \(failure.message)")
    throw ExitCode(failure.code.exitCode)
  }

  private func requireOneReference() throws {
    guard [reference.id != nil, reference.at != nil, random].count(where: { $0 }) <= 1 else {
      throw HoldfastError(
        .usage, "drill takes one of the ID of a backup, --at TIME and --random",
        hint: "without any, the newest is taken")
    }
  }

  private func choose(_ selection: Selection, _ engine: Engine) throws -> ChosenPoint {
    try requireOneReference()
    if random {
      var generator = SystemRandomNumberGenerator()
      return ChosenPoint(point: try engine.randomPoint(using: &generator), choice: nil, zone: selection.zone)
    }
    guard reference.id == nil, reference.at == nil else { return try reference.choose(selection, engine, "drill") }
    return ChosenPoint(point: try engine.point("latest"), choice: nil, zone: selection.zone)
  }
}
