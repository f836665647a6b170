import ArgumentParser
import BackupAgent
import BackupEngine
import BackupPolicy
import Replication
import Wording

/// `holdfast targets`
struct Targets: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show or check the places to which backups are copied.",
    usage: "holdfast targets [<subcommand>] [<options>]",
    discussion: """
      Without a subcommand it is targets show.

      Examples:
        holdfast targets
        holdfast targets check
      """,
    subcommands: [TargetsShow.self, TargetsCheck.self, TargetsTakeOver.self], defaultSubcommand: TargetsShow.self)
}

/// `holdfast targets show`
struct TargetsShow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Show the state of each target, its newest backup and its costs.",
    discussion: """
      It sends no request to the stores: it shows the facts that this host recorded at the last upload and at the \
      last list, and the last error of the agent and its next try. The costs are list prices, for the requests of this host in this month.

      Examples:
        holdfast targets show
        holdfast targets show --all --json
      """)

  @OptionGroup var target: TargetOptions
  @OptionGroup var every: EveryDatabaseOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try EveryDatabase(options: options, all: every.all).run(target.flags) { try show($0) }
  }

  private func show(_ selection: Selection) throws {
    let targets = try selection.targets()
    let engine = try selection.engine(.optional)
    let tries = TargetDialogue(engine).nextTries()
    let entries = try targets.map { target in
      let summary = try target.withStore { try Replicator(engine: engine, target: target, store: $0).summary() }
      return TargetListing.Entry(
        target: target, summary: summary, record: TargetRecord.load(target, engine).map(TargetListing.Record.init),
        nextTry: tries[target.name])
    }
    let listing = TargetListing(targets: entries, zone: selection.zone, commands: .caller)
    try options.console.show(listing.json, listing.lines)
  }
}

extension TargetListing.Record {
  fileprivate init(_ record: TargetRecord) {
    self.init()
    (lastSuccess, lastFailure) = (record.lastSuccess, record.lastFailure)
    (lastError, obstacle) = (record.lastError, record.obstacle)
  }
}

/// `holdfast targets check`
struct TargetsCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Ask each target whether it can be used, and compare its content.",
    discussion: """
      It lists the target, and tries the abilities of its store with small objects, which it removes: \
      conditional puts, ranges, pages of lists. It also reads the versioning, the lifecycle rules and the \
      object lock of a bucket, if that is allowed. If there is a problem, the exit code is 1.

      Examples:
        holdfast targets check
        holdfast targets check s3 --json
      """)

  @Argument(help: "The name of a target (default: all).")
  var name: String?

  @OptionGroup var target: TargetOptions
  @OptionGroup var every: EveryDatabaseOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try EveryDatabase(options: options, all: every.all).run(target.flags) { try check($0) }
  }

  private func check(_ selection: Selection) throws {
    let targets = try selection.configuredTargets(named: name)
    let engine = try selection.engine(.optional)
    let findings = targets.flatMap { TargetExamination(engine, $0, listsContent: true).findings() }
    let report = DoctorReport(findings: findings, commands: .caller)
    try options.console.show(report.json, report.lines(quiet: options.output.quiet))
    if report.hasProblem { throw ExitCode(HoldfastError.Code.failed.exitCode) }
  }
}
