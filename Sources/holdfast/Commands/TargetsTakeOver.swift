import ArgumentParser
import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication

/// `holdfast targets take-over`
struct TargetsTakeOver: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "take-over",
    abstract: "Let this machine write to a target that another one has written to.",
    discussion: """
      A target stops if it holds backups that this machine never stored: another machine guards a copy of the \
      database, or this one was rolled back. After a take-over its backups stay there and can be restored by their \
      IDs, and its agent stops writing to the target. Nothing is sent before a new full backup, which a running \
      agent makes within a minute.

      Examples:
        holdfast targets take-over s3
      """)

  @Argument(help: "The name of the target.")
  var name: String

  @Flag(help: "Do not ask.")
  var yes = false

  @OptionGroup var target: TargetOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    let selection = try options.selection(target.flags)
    let engine = try selection.engine(.needed)
    for target in try selection.targets(named: name) {
      try Confirmation(console: options.console, given: yes, hasDryRun: false)
        .require("Write to \(target.name) from this machine, and stop the other one?")
      do {
        try target.withStore { try Replicator(engine: engine, target: target, store: $0).takeOver() }
      } catch let error as StoreError {
        throw error.error(at: target.name)
      }
      let next = CallerOptions.applied(to: "holdfast create && holdfast sync \(target.name)")
      let lines = [
        "This machine writes to \(target.name) from now on. A full backup comes first:", "  \(next)",
      ]
      try options.console.show(
        .object(["name": .string(target.name), "url": .string(target.address)]), options.output.quiet ? [] : lines)
    }
  }
}
