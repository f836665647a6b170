import ArgumentParser
import BackupEngine
import BackupPolicy
import Names

/// `holdfast accept`
struct Accept: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say that an anomalous backup is as it was meant to be.",
    discussion: """
      A backup is anomalous where the database had lost most of its content or its tables, was another one, or fails SQLite's \
      checks. It holds the backups that cleanup would have kept just then, so that an accident cannot push out what was good: \
      until it is accepted, or for as long as anomaly_hold says. Accepting one that was accepted changes nothing; for one that \
      nothing is odd about it exits with 8.

      --unauthenticated is for a backup that nothing authenticates: an old one without encryption in a folder that has encrypted \
      ones, on a host that did not store it, or one of another repository. From then on this host trusts these very bytes.
      """)

  @Argument(help: "The backup's ID, a unique prefix of it, or latest.")
  var id: String

  @Flag(help: "Accept a backup that nothing authenticates, because you know where it comes from.")
  var unauthenticated = false

  @Flag(help: "Say what would be accepted and accept nothing.")
  var dryRun = false

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    let acceptance = try acceptance(options.selection().service(.optional))
    let verb = acceptance.wasAccepted ? "Accepted before:" : dryRun ? "Would accept" : "Accepted"
    let lines = ["\(verb) \(acceptance.point.id)"] + acceptance.anomalies.map { "  it \($0)".printable }
    try options.console.show(acceptance.json, options.output.quiet && !dryRun ? [] : lines)
  }

  private func acceptance(_ service: BackupService) throws -> Acceptance {
    switch (unauthenticated, dryRun) {
    case (false, true): try service.planAcceptance(id)
    case (false, false): try service.accept(id)
    case (true, true): try service.planUnauthenticatedAcceptance(id)
    case (true, false): try service.acceptUnauthenticated(id)
    }
  }
}
