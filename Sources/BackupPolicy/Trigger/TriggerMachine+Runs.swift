extension TriggerMachine {
  /// Lets the calendar go on to now.
  mutating func advanceBook() {
    guard let step = book.advance(to: now) else { return }
    let behind = "the clock is \(Words.minutes(milliseconds: step.behind)) behind the latest time seen"
    switch step {
    case .setBack:
      let until = Words.time(book.latest ?? now.wall, in: settings.zone, seenFrom: now.wall)
      history.note(.notice, "\(behind); runs up to \(until) are not repeated", at: now.wall)
    case .startedOver:
      let from = Words.time(now.wall, in: settings.zone, seenFrom: now.wall)
      history.note(.notice, "\(behind); schedules start over from \(from)", at: now.wall)
      // By the new clock it is still to come.
      if let run, run.runs.latest > now.wall { self.run = nil }
    }
  }

  /// Decides whether runs that have come due are made; why not, where they are not.
  mutating func admitDueRuns() -> String? {
    guard running == nil, !isStopping, let due = book.takeDue() else { return nil }
    let isLate = now.wall.milliseconds - due.latest.milliseconds > Self.tolerance
    let time = Words.time(due.latest, in: settings.zone, seenFrom: now.wall)
    if isLate, !settings.catchUp {
      let missed = due.count == 1 ? "" : " (\(Words.runs(due.count)) in all)"
      return skip("the run of \(time) was missed\(missed), and catch_up is off")
    }
    if settings.skipUnchanged, change == nil, run == nil {
      return skip("the run of \(time) has nothing to store: nothing has changed since the last point")
    }
    run = ScheduledRun(runs: run?.runs.merged(with: due) ?? due, isLate: isLate, again: run?.again)
    return nil
  }
}
