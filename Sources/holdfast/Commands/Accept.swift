import ArgumentParser
import BackupEngine
import BackupPolicy
import Names

/// `holdfast accept`
struct Accept: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say that an anomalous backup is correct.",
    discussion: """
      A backup is anomalous if the database lost most of its content or its tables. It holds older backups, so \
      that no rule removes them, until you accept it or anomaly_hold has passed. If the backup is not anomalous, \
      the exit code is 8.

      With --unauthenticated this host also trusts a backup that no key proves.

      Examples:
        holdfast accept latest --dry-run
        holdfast accept backup_20261128_132509
      """)

  @Argument(help: "The backup's ID, a unique prefix of it, or latest.", completion: BackupCompletion.ids)
  var id: String

  @Flag(help: "Trust a backup without authentication, because you know its origin.")
  var unauthenticated = false

  @Flag(help: "Show what would be accepted, and accept nothing.")
  var dryRun = false

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    let acceptance = try acceptance(options.selection().engine(.optional))
    let verb = acceptance.wasAccepted ? "Accepted before:" : dryRun ? "Would accept" : "Accepted"
    let lines = ["\(verb) \(acceptance.point.id)"] + acceptance.anomalies.map { "  it \($0)".printable }
    try options.console.show(acceptance.json, options.output.quiet && !dryRun ? [] : lines)
  }

  private func acceptance(_ engine: Engine) throws -> Acceptance {
    if dryRun { return try unauthenticated ? engine.planUnauthenticatedAcceptance(id) : engine.planAcceptance(id) }
    return try options.output.working { progress, _ in
      try unauthenticated
        ? engine.acceptUnauthenticated(id, progress: progress) : engine.accept(id, progress: progress)
    }
  }
}
