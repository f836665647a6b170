import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast pin`
struct Pin: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Keep a backup until it is unpinned.",
    discussion: """
      A pinned backup, and what it needs, stays whatever the rules of cleanup say, below min_free_space too; it is not merged \
      into others, and delete refuses it. Rules that count backups do not count it.
      """)

  @OptionGroup var pinning: PinOptions

  func run() throws { try pinning.run(true) }
}

/// `holdfast unpin`
struct Unpin: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Let a pinned backup go by the rules again.",
    discussion: """
      From then on it is kept and removed like any other. A backup that holdfast guard made is treated like a safety backup: it \
      stays until it is a week old.
      """)

  @OptionGroup var pinning: PinOptions

  func run() throws { try pinning.run(false) }
}

/// What both take.
struct PinOptions: ParsableArguments {
  @Argument(help: "The backup's ID, a unique prefix of it, or latest.")
  var id: String

  @Flag(help: "Say what would be changed and change nothing.")
  var dryRun = false

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run(_ pinned: Bool) throws {
    let service = try options.selection().service(.optional)
    let change = dryRun ? try service.planPin(pinned, of: id) : try service.setPin(pinned, of: id)
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
