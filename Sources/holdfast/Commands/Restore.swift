import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast restore`
struct Restore: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Bring a backup back, by a plan that is shown first.",
    discussion: """
      Where the database opens, the backup goes into it in one transaction, and applications that have it open go on \
      without a restart. What the database held before is backed up first.
      """)

  @OptionGroup var reference: PointOptions

  @Option(help: ArgumentHelp("Restore to a new file instead, which must not exist.", valueName: "path"))
  var to: String?

  @Flag(help: "Show the plan and do nothing.")
  var dryRun = false

  @Flag(help: "Go on without asking.")
  var yes = false

  @Flag(inversion: .prefixedNo, help: "Back up first what the database holds now.")
  var safetyBackup = true

  @Flag(inversion: .prefixedNo, help: "Prove the backup before it is installed.")
  var verify = true

  @Flag(help: "Run SQLite's checks even where the same content passed them before.")
  var recheck = false

  @Flag(help: "Restore a backup that this host cannot authenticate.")
  var acceptUnauthenticated = false

  @OptionGroup var options: ServiceOptions

  func run() throws {
    try RestoreDialogue(options: options, dryRun: dryRun, yes: yes, question: "Restore?").run { selection, service in
      try plan(reference.choose(selection, service, "restore"), service)
    }
  }

  private func plan(_ chosen: ChosenPoint, _ service: BackupService) throws -> RestoreReport {
    let place: RestoreTarget = try to.map { .newFile(path: $0) } ?? .database(path: service.requireDatabase())
    let point = chosen.point
    try service.requireKey(to: point)
    let request = RestoreRequest(
      pointID: point.id, target: place, safetyBackup: safetyBackup, verifyFirst: verify, recheck: recheck,
      acceptUnauthenticated: acceptUnauthenticated)
    switch try service.planRestore(request) {
    case .plan(let plan): return RestoreReport(chosen: chosen, plan: plan)
    case .refuse(let refusal): throw refusal
    }
  }
}
