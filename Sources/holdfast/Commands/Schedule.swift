import ArgumentParser
import BackupEngine
import BackupPolicy
import Glibc

/// `holdfast schedule`
struct Schedule: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Explain a cron schedule, and show when it runs next.",
    discussion: """
      Five fields: minute, hour, day of month, month, weekday; with lists (1,15), ranges (Mon-Fri) and steps (*/15); or \
      @hourly, @daily, @weekly, @monthly, @yearly. Put it in quotes, for the shell has its own use for *.
      """)

  @Argument(help: ArgumentHelp("The schedule, such as '0 2 * * *'.", valueName: "schedule"))
  var fields: [String]

  @Option(
    help: ArgumentHelp("By the clocks of this zone, such as Europe/Berlin (default: the local one).", valueName: "zone")
  )
  var timezone: String?

  @Option(help: ArgumentHelp("How many runs to show.", valueName: "n"))
  var count = 5

  @Option(help: ArgumentHelp("Show the runs after this time (default: now).", valueName: "time"))
  var after: String?

  @OptionGroup var output: OutputOptions

  func run() throws {
    guard (1...10_000).contains(count) else {
      throw HoldfastError(.usage, "--count \(count) is out of range", hint: "ask for 1 to 10000 runs")
    }
    let schedule = try CronSchedule(fields.joined(separator: " "))
    let zone = try timezone.map(TimeZones.named) ?? TimeZones.local(TZ: getenv("TZ").map { String(cString: $0) })
    let start = try after.map { try zone.time($0, name: "--after") } ?? SystemClock.now()
    let report = ScheduleReport(schedule, zone, after: start, count: count)
    try output.console.show(report.json, report.lines)
  }
}
