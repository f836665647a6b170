import ArgumentParser
import BackupEngine
import BackupPolicy
import Glibc
import Wording

/// `holdfast schedule`
struct Schedule: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Explain a cron schedule, and show when it runs next.",
    discussion: """
      A schedule has five fields: minute, hour, day of month, month and weekday. Each may be a list (1,15), a \
      range (Mon-Fri) or a step (*/15). @hourly, @daily, @weekly, @monthly and @yearly work as well. Write it in \
      quotes, because the shell replaces *.

      Examples:
        holdfast schedule '0 2 * * *'
        holdfast schedule '*/15 8-18 * * Mon-Fri' --timezone Europe/Berlin
      """)

  @Argument(help: ArgumentHelp("The schedule, such as '0 2 * * *'.", valueName: "schedule"))
  var fields: [String]

  @Option(
    help: ArgumentHelp(
      "Use the clocks of this zone, such as Europe/Berlin (default: the local one).", valueName: "zone")
  )
  var timezone: String?

  @Option(help: ArgumentHelp("Show this many runs of each schedule.", valueName: "n"))
  var count = 5

  @Option(
    help: ArgumentHelp(
      "Show the runs after this time, as for restore --at (default: now).", valueName: "time"))
  var after: String?

  @OptionGroup(title: "Common options") var output: OutputOptions

  func run() throws {
    guard (1...10_000).contains(count) else {
      throw HoldfastError(.usage, "--count \(count) is out of range", hint: "ask for 1 to 10000 runs")
    }
    let schedules = try fields.joined(separator: " ").split(separator: ";", omittingEmptySubsequences: false)
      .map { try CronSchedule(String($0)) }
    let zone = try timezone.map(TimeZones.named) ?? TimeZones.local(TZ: getenv("TZ").map { String(cString: $0) })
    let start = try self.start(zone)
    let reports = schedules.map { ScheduleReport($0, zone, after: start, count: count) }
    let documents = reports.map(\.json)
    try output.console.show(
      documents.count == 1 ? documents[0] : .array(documents), Array(reports.map(\.lines).joined(separator: [""])))
  }

  private func start(_ zone: ZoneRules) throws -> Timestamp {
    let now = SystemClock.now()
    guard let after else { return now }
    switch try PointInTime(after, name: "--after", zone: zone, now: now, mayBeToCome: true) {
    case .moment(let time): return time
    case .latest:
      throw HoldfastError(
        .usage, "--after latest is not a time", hint: "write 2026-11-22, '2026-11-22 14:03', 14:03 or '2 hours ago'")
    }
  }
}
