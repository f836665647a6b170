import BackupEngine
import BackupPolicy

/// A schedule in words, and its next runs.
package struct ScheduleReport {
  private let schedule: CronSchedule
  private let zone: ZoneRules
  private let runs: [Run]
  /// Whether there are fewer runs than requested.
  private let ends: Bool

  private struct Run {
    let time: Timestamp
    let note: String?
  }

  /// - Parameters:
  ///   - zone: of the schedule and of the shown times.
  ///   - start: the first run is after it.
  ///   - count: the most runs to show.
  package init(_ schedule: CronSchedule, _ zone: ZoneRules, after start: Timestamp, count: Int) {
    self.schedule = schedule
    self.zone = zone
    var runs: [Run] = []
    var time = start
    while runs.count < count, let next = schedule.next(after: time, in: zone) {
      runs.append(Run(time: next, note: schedule.note(on: next, after: time, in: zone)))
      time = next
    }
    self.runs = runs
    ends = runs.count < count
  }

  /// The schedule in words, then a line for each run.
  package var lines: [String] {
    ["\(schedule.words) (\(zone.name))"] + (runs.isEmpty ? [] : [""]) + runs.map(line)
      + (ends && !runs.isEmpty ? ["  and never again"] : [])
  }

  /// `  2026-03-29 03:00 +02:00  01:00 UTC  …`, with the date in UTC if it differs.
  private func line(_ run: Run) -> String {
    let local = zone.text(run.time)
    let universal = ZoneRules.utc.text(run.time).dropLast(" +00:00".count)
    let sameDay = local.prefix(10) == universal.prefix(10)
    let hasOffset = zone.offset(at: run.time) != 0
    return "  " + local + (hasOffset ? "  \(sameDay ? universal.dropFirst(11) : universal) UTC" : "")
      + (run.note.map { "  (\($0))" } ?? "")
  }

  /// The same for scripts.
  package var json: JSONValue {
    .object([
      "schedule": .string(schedule.text), "words": .string(schedule.words), "timezone": .string(zone.name),
      "runs": .array(
        runs.map {
          .object([
            "at": .string($0.time.iso8601), "local": .string(zone.rfc3339($0.time)), "note": .optional($0.note),
          ])
        }),
    ])
  }
}
