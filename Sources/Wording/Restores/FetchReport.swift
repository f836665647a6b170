import BackupEngine
import BackupPolicy
import Names
import Replication

/// The plan of a restore from a target, before anything is fetched.
package struct FetchReport {
  private let choice: RemoteChoice
  private let origin: RemoteOrigin
  private let target: RestoreTarget

  /// - Parameters:
  ///   - choice: the backup to restore.
  ///   - origin: the place of its archives, with all warnings.
  ///   - target: the place that the restore writes to.
  package init(choice: RemoteChoice, origin: RemoteOrigin, target: RestoreTarget) {
    (self.choice, self.origin, self.target) = (choice, origin, target)
  }

  /// The steps in order, and the warnings.
  package var lines: [String] {
    let needed = choice.backup.needed
    let what =
      needed.count > 1 ? "\(choice.backup.id) and the \(needed.count - 1) that it needs" : choice.backup.id.text
    let warnings = origin.warnings.isEmpty ? [] : ["", "Warnings:"] + origin.warnings.map { "  ! \($0.printable)" }
    return [choice.byTime?.words, origin.text].compactMap(\.self) + [
      "", "Restore of \(choice.backup.id) to \(target.path.printable)", "",
      "  1. fetch \(origin.archives): \(what)",
      "  2. restore it as from the backup folder; the steps are planned when the archives are here",
    ] + warnings
  }

  /// The same for scripts.
  package var json: JSONValue {
    var keys: JSONObject = [
      "backup_id": .string(choice.backup.id.text), "executed": .bool(false), "from": origin.json,
      "warnings": .array(origin.warnings.map { .string($0) }),
    ]
    if let byTime = choice.byTime {
      keys["at"] = .object([
        "requested": .string(byTime.moment.iso8601), "created_at": .string(byTime.created.iso8601),
        "behind_ms": .integer(byTime.behind), "warnings": .array(byTime.warnings.map { .string($0) }),
      ])
    }
    return .object(keys)
  }
}
