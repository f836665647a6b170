import ArgumentParser
import BackupEngine
import BackupPolicy
import Names

/// `holdfast restore`
struct Restore: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Bring a backup back, by a plan that is shown first.",
    discussion: """
      Where the database opens, the backup goes into it in one transaction, and applications that have it open go on \
      without a restart. What the database held before is backed up first.

      With --table only that table is copied, with its rows, indexes, triggers and the counter of an AUTOINCREMENT, into the \
      file of --to: a new one, or a database that has nothing of those names, which is changed in one transaction.
      """)

  @OptionGroup var reference: PointOptions

  @Option(
    help: ArgumentHelp(
      "Restore to a new file instead, which must not exist; with --table, to that file or into that database.",
      valueName: "path"))
  var to: String?

  @Option(help: "Restore only this table; may be given several times. Needs --to.")
  var table: [String] = []

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

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    let dialogue = RestoreDialogue(options: options, dryRun: dryRun, yes: yes, question: "Restore?")
    guard table.isEmpty else {
      return try dialogue.refusing { try restoreTables(reference.choose($0, $1, "restore"), $1) }
    }
    try dialogue.run { try plan(reference.choose($0, $1, "restore"), $1) }
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

  private func restoreTables(_ chosen: ChosenPoint, _ service: BackupService) throws {
    guard let to else {
      throw HoldfastError(
        .usage, "--table copies into another file, and --to does not name one",
        hint: "add --to PATH: a new file, or a database that has no such table")
    }
    let request = TableRestoreRequest(pointID: chosen.id, tables: table.map { Identifier($0) }, target: to)
    try options.output.working { progress, clear in
      let restore = try service.tableRestore(
        request, of: chosen.point, progress: progress, acceptUnauthenticated: acceptUnauthenticated)
      clear()
      let report = TableRestoreReport(chosen: chosen, plan: restore.plan)
      guard !dryRun else { return try options.console.show(report.json(nil), report.planLines) }
      if !options.output.quiet || !yes { try options.console.show(report.planLines + [""]) }
      // A new file replaces nothing.
      let isAgreed = yes || !DatabaseList.exists(to)
      try Confirmation(console: options.console, given: isAgreed).require("Restore?", during: progress)
      let counts = try restore.run()
      try options.console.show(report.json(counts), options.output.quiet ? [] : report.resultLines(counts))
    }
  }
}
