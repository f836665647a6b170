/// An alarm that lasts, as receivers of messages get it.
package struct OpenAlarm: Hashable, Sendable {
  /// Distinguishes alarms that last at the same time.
  package struct Key: Hashable, Sendable, Comparable {
    /// The name of the database; nil if the alarm is about the agent.
    package var database: String?
    /// Such as `disk_full`.
    package var kind: String
    /// The name of the target or of the channel that it is about.
    package var subject: String?

    package init(database: String?, kind: String, subject: String? = nil) {
      (self.database, self.kind, self.subject) = (database, kind, subject)
    }

    package static func < (left: Key, right: Key) -> Bool {
      (left.database ?? "", left.kind, left.subject ?? "") < (right.database ?? "", right.kind, right.subject ?? "")
    }
  }

  package var key: Key
  package var since: Timestamp
  package var message: String
  package var hint: String?

  package init(_ key: Key, since: Timestamp, message: String, hint: String?) {
    (self.key, self.since, self.message, self.hint) = (key, since, message, hint)
  }
}

/// A message to one channel, before it has words.
package struct Notice: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    /// The first message of an incident.
    case alarm
    /// Alarms began or ended, and some last; or a message before this one failed, and some last.
    case change
    /// Alarms last, and nothing has changed since the last message.
    case reminder
    /// All alarms have ended.
    case recovery
    /// The state at a time of the day.
    case report
  }

  package var kind: Kind
  /// The alarms that last, oldest first.
  package var open: [OpenAlarm]
  /// Those among them that receivers do not know yet.
  package var new: Set<OpenAlarm.Key>
  /// The alarms that receivers know, and that have ended.
  package var over: [OpenAlarm]
  /// Changes that no message reported, because too many had been sent.
  package var heldBack: Int
  /// The ID of the first message of the incident; nil if this one is the first.
  package var thread: String?

  package init(
    _ kind: Kind, open: [OpenAlarm] = [], new: Set<OpenAlarm.Key> = [], over: [OpenAlarm] = [], heldBack: Int = 0,
    thread: String? = nil
  ) {
    (self.kind, self.open, self.new, self.over) = (kind, open, new, over)
    (self.heldBack, self.thread) = (heldBack, thread)
  }
}

/// When a channel gets messages besides those about alarms.
package struct NotificationSettings: Hashable, Sendable {
  /// The times of the daily report; nil without a report.
  package var report: CronSchedule?
  /// Of the report.
  package var zone = ZoneRules.utc

  package init(report: CronSchedule? = nil, zone: ZoneRules = .utc) { (self.report, self.zone) = (report, zone) }

  var timetable: Timetable { Timetable(schedules: [report].compactMap { $0 }, zone: zone) }
}

/// What receivers of a channel know. It survives a restart of the agent.
package struct NotificationMemory: Hashable, Sendable {
  /// The alarms of the incident that receivers know of.
  package var told: [OpenAlarm] = []
  /// The ID of the first message of the incident.
  package var thread: String?
  /// When the last messages were sent, oldest first.
  package var sent: [Timestamp] = []
  /// When the last message about alarms was sent.
  package var lastAlarmNotice: Timestamp?
  /// When receivers last learned that an alarm had ended.
  package var ends: [OpenAlarm.Key: [Timestamp]] = [:]
  package var lastReport: Timestamp?

  package init() {}
}
