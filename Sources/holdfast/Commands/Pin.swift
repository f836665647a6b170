import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast pin`
struct Pin: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Keep a backup until it is unpinned.",
    discussion: """
      No rule and no lack of space removes a pinned backup or what it needs. It is not merged, delete refuses it, \
      and rules do not count it.

      Examples:
        holdfast pin latest
      """)

  @OptionGroup var pinning: PinOptions

  func run() throws { try pinning.run(true) }
}

/// `holdfast unpin`
struct Unpin: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "End the pin of a backup.",
    discussion: """
      From then on the rules decide. A backup of holdfast guard stays until it is a week old.

      Examples:
        holdfast unpin backup_20261128_132032
      """)

  @OptionGroup var pinning: PinOptions

  func run() throws { try pinning.run(false) }
}

/// The arguments of both commands.
struct PinOptions: ParsableArguments {
  @Argument(help: "The backup's ID, a unique prefix of it, or latest.", completion: BackupCompletion.ids)
  var id: String

  @Flag(help: "Show what would be changed, and change nothing.")
  var dryRun = false

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run(_ pinned: Bool) throws {
    let engine = try options.selection().engine(.optional)
    let change =
      dryRun
      ? try engine.planPin(pinned, of: id)
      : try options.output.working { progress, _ in try engine.setPin(pinned, of: id, progress: progress) }
    let word = pinned ? "pin" : "unpin"
    let line =
      change.wasSo
      ? "\(change.point.id) is \(pinned ? "pinned already" : "not pinned")"
      : dryRun ? "Would \(word) \(change.point.id)" : "\(word.capitalisedFirst)ned \(change.point.id)"
    try options.console.show(change.json, options.output.quiet && !dryRun ? [] : [line])
  }
}

extension String {
  fileprivate var capitalisedFirst: String { prefix(1).uppercased() + dropFirst() }
}
