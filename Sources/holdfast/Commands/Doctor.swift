import ArgumentParser
import BackupEngine
import BackupPolicy
import Wording

/// `holdfast doctor`
struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look for common problems, and test a backup and a restore.",
    discussion: """
      The test backs the database up to a scratch folder beside the repository, verifies and restores it, compares \
      the pages and removes the folder. Each target gets one request. If there is a problem, the exit code is 1.

      Examples:
        holdfast doctor
        holdfast doctor --all --no-probe
      """)

  @Flag(inversion: .prefixedNo, help: "Back up, verify, restore and compare in a scratch folder (default: yes).")
  var probe = true

  @OptionGroup var every: EveryDatabaseOptions
  @OptionGroup var target: TargetOptions
  @OptionGroup(title: "New backups") var creation: CreationOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    let configuration = try options.configuration(creation.flags.merging(target.flags))
    // They belong to no database, so they are reported once.
    var channels = configuration.channelFindings()
    try EveryDatabase(options: options, all: every.all).run(in: configuration) { selection in
      defer { channels = [] }
      try examine(selection, channels)
    }
  }

  private func examine(_ selection: Selection, _ channels: [Finding]) throws {
    let archive = try ArchiveOptions(selection.settings)
    let engine = try selection.engine(.optional)
    let drillAge = (try? selection.settings.drillSettings())?.age(at: engine.environment.now())
    let facts = try Examination(engine, encrypts: archive.encrypt, drillAge: drillAge).facts()
    var report = DoctorReport(
      findings: Diagnosis.findings(facts) + targets(selection, engine) + channels, commands: .caller)
    if probe {
      report.findings +=
        report.allowsProbe
        ? try options.output.working { progress, _ in try EndToEndProbe(engine, archive, progress: progress).run() }
        : [Finding("probe", .note, "left out until the problems above are solved")]
    }
    try options.console.show(report.json, report.lines(quiet: options.output.quiet))
    if report.hasProblem { throw ExitCode(HoldfastError.Code.failed.exitCode) }
  }

  private func targets(_ selection: Selection, _ engine: Engine) -> [Finding] {
    do {
      return try selection.targets().flatMap { TargetExamination(engine, $0).findings() }
    } catch {
      let known = GuardResult.error(error)
      return [
        Finding("targets", .problem, known.message, advice: known.hint ?? "holdfast config check lists all mistakes")
      ]
    }
  }
}
