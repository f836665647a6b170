import ArgumentParser
import BackupEngine
import BackupPolicy
import Wording

/// `holdfast delete`
struct Delete: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Remove one backup.",
    discussion: """
      A backup with incrementals goes only together with them, by --with-children. A pinned backup must be \
      unpinned first.

      Examples:
        holdfast delete backup_20261128_132032 --dry-run
        holdfast delete backup_20261128_132032 --with-children
      """)

  @Argument(help: "The backup's ID, a unique prefix of it, or latest.", completion: BackupCompletion.ids)
  var id: String

  @Flag(help: "Also remove the incrementals that need it.")
  var withChildren = false

  @Flag(help: "Do not ask.")
  var yes = false

  @Flag(help: "Show what would be removed, and remove nothing.")
  var dryRun = false

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    let selection = try options.selection()
    let engine = try selection.engine(.optional)
    let plan = try engine.planDelete(id, withChildren: withChildren)
    let report = RemovalReport(plan: plan, zone: selection.zone)
    guard !dryRun else {
      return try options.console.show(report.json(deleted: false), ["Would delete \(report.subject)"] + report.lines)
    }
    if !yes { try options.console.show([report.subject] + report.lines + [""]) }
    try Confirmation(console: options.console, given: yes).require(report.question)
    try options.output.working { progress, _ in try engine.delete(plan, progress: progress) }
    try options.console.show(
      report.json(deleted: true), options.output.quiet ? [] : ["Deleted \(report.subject)"])
  }
}
