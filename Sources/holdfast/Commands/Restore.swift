import ArgumentParser
import BackupEngine
import BackupPolicy
import Names
import Wording

/// `holdfast restore`
struct Restore: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Restore a backup, by a plan that is shown first.",
    discussion: """
      The current content is backed up first, and holdfast undo brings it back. If the database opens, the backup \
      goes into it in one transaction, and applications need no restart. With --table only that table is copied, \
      into the file of --to.

      Examples:
        holdfast restore backup_20261128_132032
        holdfast restore --at '10 minutes ago' --dry-run
        holdfast restore latest --to copy.db
        holdfast restore latest --table users --to users.db
        holdfast restore latest --from s3://bucket/shop
      """)

  @OptionGroup var reference: PointOptions

  @Option(
    help: ArgumentHelp(
      "Restore to this new file; with --table also into this other database.",
      valueName: "path"), completion: .file())
  var to: String?

  @Option(help: "Copy only this table; may be repeated. Needs --to.")
  var table: [String] = []

  @Flag(help: "Show the plan, and do nothing.")
  var dryRun = false

  @Flag(help: "Do not ask.")
  var yes = false

  @Flag(inversion: .prefixedNo, help: "Back up the current content first (default: yes).")
  var safetyBackup = true

  @Flag(inversion: .prefixedNo, help: "Verify the backup before it is installed (default: yes).")
  var verify = true

  @Flag(help: "Run SQLite's checks even if the same content passed them before.")
  var recheck = false

  @Flag(help: "Accept a backup that this host cannot authenticate.")
  var acceptUnauthenticated = false

  @OptionGroup(title: "Targets") var remote: RemoteOptions
  @OptionGroup var newest: NewestOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try remote.check(newest)
    let dialogue = RestoreDialogue(options: options, dryRun: dryRun, yes: yes, question: "Restore?")
    guard !remote.isUsed else { return try dialogue.refusing { try restoreRemote($0, $1, dialogue) } }
    guard table.isEmpty else {
      return try dialogue.refusing { try restoreTables(reference.choose($0, $1, "restore"), $1) }
    }
    try dialogue.run { try plan(reference.choose($0, $1, "restore"), $1) }
  }

  private func place(_ engine: Engine) throws -> RestoreTarget {
    try to.map { .newFile(path: $0) } ?? .database(path: engine.requireDatabase())
  }

  private func restoreRemote(_ selection: Selection, _ engine: Engine, _ dialogue: RestoreDialogue) throws {
    // Before anything is fetched.
    let place = try place(engine)
    let reference = try PointReference(id: reference.id, at: reference.at).remote(selection, engine, "restore")
    let access = RemoteAccess(
      remote: remote, newest: newest, service: options, acceptsUnauthenticated: acceptUnauthenticated)
    guard !dryRun else {
      return try access.choosing(reference, selection, engine) { choice, origin in
        var origin = origin
        origin.compare(with: place)
        let report = FetchReport(choice: choice, origin: origin, target: place)
        try options.console.show(report.json, report.lines)
      }
    }
    try access.fetching([reference], selection, engine) { fetched in
      var chosen = fetched.chosen[0]
      chosen.origin?.compare(with: place)
      guard table.isEmpty else { return try restoreTables(chosen, fetched.engine) }
      try dialogue.go(
        plan(chosen, engine, from: fetched.engine), engine, from: fetched.engine, after: fetched.progress)
    }
  }

  private func plan(_ chosen: ChosenPoint, _ engine: Engine, from source: Engine? = nil) throws -> RestoreReport {
    let place = try place(engine)
    let point = chosen.point
    try (source ?? engine).requireKey(to: point)
    let request = RestoreRequest(
      pointID: point.id, target: place, safetyBackup: safetyBackup, verifyFirst: verify, recheck: recheck,
      acceptUnauthenticated: acceptUnauthenticated)
    switch try engine.planRestore(request, from: source) {
    case .plan(let plan): return RestoreReport(chosen: chosen, plan: plan)
    case .refuse(let refusal): throw refusal
    }
  }

  private func restoreTables(_ chosen: ChosenPoint, _ engine: Engine) throws {
    guard let to else {
      throw HoldfastError(
        .usage, "--table copies into another file, and --to does not name one",
        hint: "add --to PATH: a new file, or a database that has no such table")
    }
    let request = TableRestoreRequest(pointID: chosen.id, tables: table.map { Identifier($0) }, target: to)
    try options.output.working { progress, clear in
      let restore = try engine.tableRestore(
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
