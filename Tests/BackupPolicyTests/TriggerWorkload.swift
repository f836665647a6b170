@testable import BackupPolicy

/// An application's day of writes, and the resulting backups of a machine.
enum TriggerWorkload: String, CaseIterable {
  case constant = "constant writer"
  case bursts = "bursts"
  case minutely = "a write a minute"
  case idle = "idle"

  /// Times of the writes in a day, in milliseconds from its start.
  var writes: [Int64] {
    switch self {
    case .constant: Array(stride(from: 0, to: TriggerTimes.day, by: 480))
    // A second of writes every ten minutes.
    case .bursts:
      stride(from: 0, to: TriggerTimes.day, by: 10 * Int(TriggerTimes.minute)).flatMap { start in
        (0..<20).map { Int64(start) + 1000 + $0 * 50 }
      }
    // So that the quiet period ends just before the full minute.
    case .minutely: Array(stride(from: 59200, to: TriggerTimes.day, by: Int(TriggerTimes.minute)))
    case .idle: []
    }
  }

  /// A day in Berlin that begins at midnight: a row for each kind of backup.
  func day(_ mode: TriggerMode, from midnight: Timestamp, hours: Int64 = 24) throws -> [TriggerDayRow] {
    let settings = TriggerSettings(
      mode: mode, schedules: try TriggerTimes.schedules(["0 2 * * *", "0 */6 * * *"]), zone: TriggerTimes.berlin)
    var diagram = TriggerDiagram(settings, duration: 2000)
    diagram.origin = midnight
    diagram.send(.startup(changedWhileDown: false, lastScheduled: nil))
    let writes = writes.filter { $0 < hours * TriggerTimes.hour }
    for write in writes {
      diagram.advance(to: write)
      diagram.send(.change)
    }
    diagram.advance(to: hours * TriggerTimes.hour - 1)
    var rows = [TriggerDayRow(what: "\(rawValue), \(mode.rawValue)", count: diagram.starts.count)]
    (rows[0].longestWait, rows[0].owed) = Self.waits(writes, diagram.starts)
    for start in diagram.starts { rows.note(start.trigger.rawValue, start.reasonWithoutTime, start.wall) }
    for skip in diagram.skips { rows.note("skip", skip) }
    for violation in diagram.violations { rows.note("violation", violation) }
    return rows
  }

  /// The longest time from a write to the start of a backup that contains it, and the number of
  /// writes without a backup at the end. Both ascend.
  private static func waits(_ writes: [Int64], _ starts: [TriggerDiagram.Start]) -> (longest: Int64?, owed: Int) {
    var longest: Int64?
    var owed = 0
    var next = 0
    for write in writes {
      while next < starts.count, starts[next].time < write { next += 1 }
      if next < starts.count { longest = max(longest ?? 0, starts[next].time - write) } else { owed += 1 }
    }
    return (longest, owed)
  }
}

/// A row of the table of days.
struct TriggerDayRow {
  /// Workload and mode, or the trigger.
  var what: String
  var count = 1
  var first: Timestamp?
  var last: Timestamp?
  var longestWait: Int64?
  var owed: Int?
  var why = ""

  static let title = row(["workload, mode", "backups", "first", "last", "longest wait", "owed", "why"])

  var text: String {
    let wait = longestWait.map { "\($0 / 1000).\(Int($0 % 1000).padded(3)) s" } ?? ""
    return Self.row([what, "\(count)", clock(first), clock(last), wait, owed.map { "\($0)" } ?? "", why])
  }

  private func clock(_ time: Timestamp?) -> String {
    guard let local = time.map(TriggerTimes.berlin.local) else { return "" }
    return "\(local.hour.padded(2)):\(local.minute.padded(2)):\(local.second.padded(2)).\(local.millisecond.padded(3))"
  }

  private static func row(_ cells: [String]) -> String {
    let widths = [28, 8, 13, 13, 13, 6, 0]
    var row = ""
    for (cell, width) in zip(cells, widths) { row += cell + String(repeating: " ", count: max(1, width - cell.count)) }
    while row.last == " " { row.removeLast() }
    return row
  }
}

extension [TriggerDayRow] {
  /// Adds one to the row of its kind.
  fileprivate mutating func note(_ what: String, _ why: String, _ time: Timestamp? = nil) {
    if let index = firstIndex(where: { $0.what == "  " + what && $0.why == why }) {
      self[index].count += 1
      self[index].last = time
    } else {
      append(TriggerDayRow(what: "  " + what, first: time, last: time, why: why))
    }
  }
}

extension TriggerDiagram.Start {
  /// Without the time, so that scheduled backups are of one kind.
  fileprivate var reasonWithoutTime: String {
    trigger == .scheduled ? reason.prefix { !$0.isNumber } + "…" : reason
  }
}
