extension TriggerMachine {
  /// What the machine does at the moment, and why.
  package var status: TriggerStatus {
    let deadline = deadline
    return TriggerStatus(
      mode: settings.mode, state: state,
      running: running.map { .init(trigger: $0.trigger, since: $0.since, reason: $0.reason) },
      owed: owed, nextRun: book.upcoming, deadline: deadline?.until, waitingFor: deadline?.reason,
      failures: backoff.failures, mayRelease: running != nil && releases < Self.releaseLimit,
      decisions: history.decisions)
  }

  private var state: TriggerStatus.State {
    if isStopping { return .stopping }
    if running != nil { return .running }
    return owed.isEmpty ? .idle : .waiting
  }

  private var owed: [TriggerStatus.Obligation] {
    var owed: [TriggerStatus.Obligation] = []
    if let requested { owed.append(.init(trigger: .manual, since: requested, reason: "asked for")) }
    if let run {
      owed.append(.init(trigger: .scheduled, since: run.runs.latest, reason: run.words(settings, at: now.wall)))
    } else if let due = book.due {
      let time = Words.time(due.latest, in: settings.zone, seenFrom: now.wall)
      owed.append(.init(trigger: .scheduled, since: due.latest, reason: "scheduled for \(time)"))
    }
    if let change { owed.append(.init(trigger: .change, since: change.since, reason: change.reason ?? "changed")) }
    return owed
  }
}

extension TriggerSettings {
  /// When scheduled backups run in this mode.
  var timetable: Timetable { Timetable(schedules: mode == .change ? [] : schedules, zone: zone) }
}
