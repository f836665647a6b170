import TestSupport

@testable import BackupPolicy

/// A random life of a ``TriggerMachine``, and the rules that it has to keep.
struct TriggerLife {
  /// Begins at the machine's start, or when the clock is set back by three hours or more, and lasts
  /// until the next era.
  private struct Era {
    /// Index of the first backup in it.
    var firstStart: Int
    var from: Timestamp
    /// The latest wall time in it.
    var latest: Timestamp
  }

  let settings: TriggerSettings
  private var diagram: TriggerDiagram
  private var changes: [Int64] = []
  private var eras: [Era]
  /// For each backup, the latest wall time so far when it started.
  private var accounts: [Timestamp] = []

  init(_ random: inout SeededGenerator) throws {
    let zones = [ZoneRules.utc, TriggerTimes.berlin, TriggerTimes.lordHowe]
    let expressions = ["30 2 * * *", "*/30 * * * *", "0 */6 * * *", "15 1,2,3 * * *", "*/7 * * * *"]
    settings = TriggerSettings(
      mode: random.pick(TriggerMode.allCases), debounce: random.pick([0, 500, 3000]), maxDelay: 5000,
      minInterval: random.pick([0, 1000, 8000]),
      schedules: try TriggerTimes.schedules((0..<random.pick([1, 2])).map { _ in random.pick(expressions) }),
      zone: random.pick(zones), quietHours: random.chance(2) ? try QuietHours("01:15-02:45") : nil)
    diagram = TriggerDiagram(settings, duration: random.pick([0, 2000, 100_000]))
    diagram.origin = TriggerTimes.utc(
      random.pick(["2026-03-28 20:00:00", "2026-10-24 20:00:00", "2026-04-04 10:00:00", "2026-10-03 10:00:00"]))
    if random.chance(2) {
      let ends: [Outcome] = [.failed(.busy), .failed(.noSpace), .yielded, .stored, .unchanged]
      diagram.outcomes = (0..<100).map { _ in random.pick(ends) }
    }
    eras = [Era(firstStart: 0, from: diagram.wall, latest: diagram.wall)]
  }

  mutating func live(_ random: inout SeededGenerator) {
    diagram.send(.startup(changedWhileDown: false, lastScheduled: nil))
    let steps: [Int64] = [0, 10, 400, 500, 1000, 7000, 60000, TriggerTimes.hour / 2, 2 * TriggerTimes.hour]
    for _ in 0..<Int.random(in: 20..<100, using: &random) {
      step(&random, by: random.pick(steps) + random.pick([0, 0, 1, 333]))
    }
    // All pending work is done by then, and a run of each schedule comes after it.
    advance(by: 26 * TriggerTimes.hour)
  }

  private mutating func step(_ random: inout SeededGenerator, by length: Int64) {
    if random.chance(6) { sleep(length) } else { advance(by: length) }
    switch Int.random(in: 0..<12, using: &random) {
    case 0: diagram.send(.requested)
    case 1: diagram.tick()
    case 2: setClock(by: -random.pick([1000, TriggerTimes.minute * 50, 2 * TriggerTimes.hour]))
    case 3: setClock(by: random.pick([1000, TriggerTimes.minute * 50, 5 * TriggerTimes.hour]))
    case 4: setClock(by: -random.pick([3 * TriggerTimes.hour, TriggerTimes.day]))
    case 5, 6: break
    default:
      changes.append(diagram.now)
      diagram.send(.change)
    }
    account()
  }
}

// MARK: - Its own account of the calendar

extension TriggerLife {
  /// In small steps, so that the account is known at each start.
  private mutating func advance(by length: Int64) {
    let end = diagram.now + length
    while diagram.now < end {
      diagram.advance(to: min(end, diagram.now + TriggerTimes.minute))
      account()
    }
  }

  private mutating func sleep(_ length: Int64) {
    diagram.advance(to: diagram.now + length, asleepBefore: true)
    account()
  }

  private mutating func setClock(by change: Int64) {
    account()
    let latest = eras[eras.count - 1].latest
    if latest.milliseconds - (diagram.wall.milliseconds + change) >= ScheduleBook.repeatWindow {
      let from = Timestamp(milliseconds: diagram.wall.milliseconds + change)
      eras.append(Era(firstStart: diagram.starts.count, from: from, latest: from))
    }
    diagram.setClock(by: change)
    account()
  }

  private mutating func account() {
    let era = eras.count - 1
    for start in diagram.starts.dropFirst(accounts.count) {
      eras[era].latest = max(eras[era].latest, start.wall)
      accounts.append(eras[era].latest)
    }
    eras[era].latest = max(eras[era].latest, diagram.wall)
  }
}

// MARK: - Rules

extension TriggerLife {
  func problems() -> [String] {
    diagram.violations + coverage() + spacing() + settling() + runs() + quiet()
  }

  private func isGood(_ start: TriggerDiagram.Start) -> Bool { start.outcome == .stored || start.outcome == .unchanged }

  /// Every change is in a backup that started after it, or still pending.
  private func coverage() -> [String] {
    guard let last = changes.last, !diagram.starts.contains(where: { isGood($0) && $0.time >= last }) else { return [] }
    let owed = diagram.machine.status.pending + [diagram.machine.status.running].compactMap { $0 }
    return owed.isEmpty ? ["the change at \(last) is lost"] : []
  }

  /// Floors and pauses are kept.
  private func spacing() -> [String] {
    var problems: [String] = []
    var failures = 0
    for (earlier, later) in zip(diagram.starts, diagram.starts.dropFirst()) {
      let gap = later.time - earlier.time
      if case .failed = earlier.outcome { failures += 1 } else if earlier.outcome != .yielded { failures = 0 }
      let resumes = earlier.outcome == .yielded
      if later.trigger == .change, !resumes, gap < settings.minInterval {
        problems.append("\(later.time): below the floor")
      }
      let asked = later.trigger == .manual || later.reason.hasPrefix("asked for")
      let pause = min(60000, Int64(1000) << min(6, failures - 1))
      if !asked, !resumes, failures > 0, gap < diagram.duration + pause {
        problems.append("\(later.time): in the pause after \(failures) failures")
      }
    }
    if settings.mode == .schedule, diagram.starts.contains(where: { $0.trigger == .change }) {
      problems.append("a backup for a change in mode schedule")
    }
    if settings.mode == .change, diagram.starts.contains(where: { $0.trigger == .scheduled }) {
      problems.append("a scheduled backup in mode change")
    }
    return problems
  }

  /// If the reason claims a quiet time, it was quiet, and if it claims a long burst, there was one.
  private func settling() -> [String] {
    var problems: [String] = []
    for (index, start) in diagram.starts.enumerated() where start.trigger == .change {
      let covered = index == 0 ? Int64.min : diagram.starts[index - 1].time
      // A change in the millisecond of a start comes after it.
      let held = changes.filter { $0 >= covered && $0 < start.time }
      if start.reason.hasPrefix("changed, then"), held.contains(where: { $0 > start.time - settings.debounce }) {
        problems.append("\(start.time): not quiet")
      }
      if start.reason.hasPrefix("changing for"), (held.first ?? .max) > start.time - settings.maxDelay {
        problems.append("\(start.time): not waited for long enough")
      }
    }
    return problems
  }

  /// In quiet hours a change starts no backup, except one that yielded and continues.
  private func quiet() -> [String] {
    guard let hours = settings.quietHours else { return [] }
    return diagram.starts.filter { start in
      start.trigger == .change && !start.reason.hasPrefix("again")
        && hours.end(after: start.wall, in: settings.zone) != nil
    }.map { "\($0.time): in the quiet hours" }
  }

  /// Each run of the calendar is made, and none twice.
  private func runs() -> [String] {
    guard settings.mode != .change else { return [] }
    var problems: [String] = []
    // From the era before: if a run fails when the clock is set back past its time, it stays
    // pending.
    var isOwed = false
    for (index, era) in eras.enumerated() {
      let end = index + 1 < eras.count ? eras[index + 1].firstStart : diagram.starts.count
      var made = era.from
      for position in era.firstStart..<end where diagram.starts[position].trigger == .scheduled {
        guard isGood(diagram.starts[position]) else { continue }
        if !isOwed, !settings.timetable.hasRun(after: made, through: accounts[position]) {
          problems.append("\(diagram.starts[position].time): no run since the last one")
        }
        made = accounts[position]
        isOwed = false
      }
      isOwed = isOwed || settings.timetable.hasRun(after: made, through: era.latest)
      if index + 1 == eras.count, settings.timetable.hasRun(after: made, through: lastDecision) {
        problems.append("a run after \(made.iso8601) is lost")
      }
    }
    return problems
  }

  /// By that time each run has had time to be made.
  private var lastDecision: Timestamp {
    eras[eras.count - 1].latest.adding(seconds: -200 - diagram.duration / 1000)
  }
}

extension Timetable {
  fileprivate func hasRun(after time: Timestamp, through end: Timestamp) -> Bool {
    next(after: time).map { $0 <= end } ?? false
  }
}
