import ArgumentParser
import BackupAgent
import BackupEngine
import BackupPolicy
import Names
import Wording

/// `holdfast status`
struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say whether the data is safe, and if not, why not.",
    discussion: """
      It asks the running agent; without one it looks at the backups and at the files of the database. Without \
      --database it is about every configured database. With --check it prints one line for a monitoring system, \
      and the exit code is 0 (OK), 1 (warning), 2 (critical) or 3 (unknown).

      Examples:
        holdfast status
        holdfast status --why 14:03
        holdfast status --check --max-age 1h
      """)

  @Option(
    help: ArgumentHelp(
      "Show why a backup was or was not made at this time, such as 14:03 or 'yesterday 14:03'.", valueName: "time"))
  var why: String?

  @Flag(help: "Print one line, and end with the exit code of a monitoring plugin.")
  var check = false

  @Option(
    help: ArgumentHelp(
      "With --check: how long a change may be in no backup before it is critical (default: 1h).", valueName: "span"))
  var maxAge: String?

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    guard check else { return try report() }
    guard why == nil else {
      throw HoldfastError(.usage, "--why and --check exclude each other", hint: "leave one of them out")
    }
    let check: StateCheck
    do {
      let limit = try limit()
      let (facts, zone) = try DatabaseFacts.all(options)
      check = StateCheck(facts.map(\.facts), maxAge: limit, at: SystemClock.now(), in: zone)
    } catch {
      // A monitoring system reads standard output, and knows these exit codes only.
      let error = GuardResult.error(error)
      try Console(json: false, quiet: false).show(["HOLDFAST UNKNOWN - \(error.message)"])
      throw ExitCode(StateCheck.Verdict.unknown.rawValue)
    }
    try Console(json: false, quiet: false).show([check.line])
    if check.verdict != .ok { throw ExitCode(check.verdict.rawValue) }
  }

  /// In seconds.
  private func limit() throws -> Int64 {
    guard let maxAge else { return 3600 }
    guard let span = TimeSpan(argument: maxAge), span.milliseconds >= 1000 else {
      throw HoldfastError(
        .usage, "--max-age is \(maxAge.shortened), which is not a time span",
        hint: "use a number and a unit: 90min, 1h, 2d")
    }
    return span.milliseconds / 1000
  }

  private func report() throws {
    guard maxAge == nil else {
      throw HoldfastError(.usage, "--max-age has no effect without --check", hint: "add --check")
    }
    let (all, zone) = try DatabaseFacts.all(options)
    let now = SystemClock.now()
    if let why {
      let explanations = try all.map { try $0.explanation(of: why, at: now, in: zone) }
      return try options.console.show(.array(explanations.map(\.json)), explanations.flatMap(\.lines))
    }
    let listing = StatusListing(all.map(\.observed), at: now, in: zone)
    try options.console.show(listing.json, listing.lines)
  }

}
