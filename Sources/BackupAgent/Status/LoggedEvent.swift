import BackupPolicy
import Logging

/// Events of an agent that programs look for in its log. Their names are in JSON logs, their
/// identifiers in the journal.
package enum LoggedEvent: String, CaseIterable, Sendable {
  case started
  case stopped
  case reloaded
  /// A backup was stored.
  case stored
  /// A backup was removed by the retention.
  case removed
  case alarm
  case alarmOver = "alarm_over"
  case targetFails = "target_fails"
  case targetWorks = "target_works"
  /// A backup passed a drill.
  case proven
  case paused
  case resumed

  /// The identifier in the journal (`MESSAGE_ID`, see `systemd.journal-fields(7)`): random, and
  /// never changed, so that `journalctl MESSAGE_ID=` finds the events of every version.
  package var messageID: String {
    switch self {
    case .started: "f9a56a32b91c40dea43486568fdd9933"
    case .stopped: "59be50fdd90a4f5da406c98313496b19"
    case .reloaded: "fdf523b58b944d1fbca1bd07a6e463ac"
    case .stored: "71af49364c8945118ca1eeb4592d3725"
    case .removed: "2482415b13fa4db88fc043ae87cb7ed1"
    case .alarm: "1bb56f1ca02b43d0943b76621c057de0"
    case .alarmOver: "bccb4532726f4eceae192c59c32c5ede"
    case .targetFails: "66c1337609764e8c9237d2cb73d6011a"
    case .targetWorks: "9782c3ee53af44a494887491c1655935"
    case .proven: "4a8c9d50135f4267b1192234cd363efa"
    case .paused: "6af2daf80db845929b5c2fadf11e7535"
    case .resumed: "3057058a75c64484bde1122e86af734c"
    }
  }
}

extension Logger.Metadata {
  /// The keys that say again, for programs, what a message says in words. A log for people leaves
  /// them out.
  package static let namesOfFacts: Set<String> = ["event", "database", "target", "backup_id", "alarm", "code"]

  /// The facts of an event.
  ///
  /// - Parameters:
  ///   - target: the name of the target that it is about.
  ///   - alarm: the kind of the alarm.
  package static func about(
    _ event: LoggedEvent, backup: PointID? = nil, target: String? = nil, alarm: String? = nil,
    _ error: HoldfastError? = nil
  ) -> Logger.Metadata {
    var facts: Logger.Metadata = ["event": "\(event.rawValue)"]
    if let backup { facts["backup_id"] = "\(backup.text)" }
    if let target { facts["target"] = "\(target)" }
    if let alarm { facts["alarm"] = "\(alarm)" }
    if let error {
      facts["code"] = "\(error.code.rawValue)"
      if let hint = error.hint { facts["hint"] = "\(hint)" }
    }
    return facts
  }
}
