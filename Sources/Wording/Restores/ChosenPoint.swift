import BackupEngine
import BackupPolicy
import Names

/// A backup, and how it was chosen if a time named it.
package struct ChosenPoint {
  package let point: StoredPoint
  /// The choice by a time; nil if an ID named it.
  package let choice: PointByTime?
  /// The zone in which times are shown.
  package let zone: ZoneRules
  /// Nil for a backup of the backup folder.
  package var origin: RemoteOrigin?

  package init(point: StoredPoint, choice: PointByTime?, zone: ZoneRules, origin: RemoteOrigin? = nil) {
    (self.point, self.choice, self.zone, self.origin) = (point, choice, zone, origin)
  }

  package var id: PointID { point.id }
  var warnings: [String] { origin?.warnings ?? choice?.warnings ?? [] }

  /// The backup that the time names and the target that has it, with warnings; empty if an ID of
  /// the backup folder named it.
  package var lines: [String] {
    guard choice != nil || origin != nil else { return [] }
    return introduction + warnings.map { "  ! \($0.printable)" } + [""]
  }

  /// The same without the warnings.
  var introduction: [String] { [choice?.words, origin?.text].compactMap(\.self) }

  /// Adds `at` to a document: the requested moment, the backup's own time, and the milliseconds
  /// between; and `from`: the target that has it.
  package func adding(to document: JSONValue) -> JSONValue {
    guard case .object(var keys) = document else { return document }
    if let origin { keys["from"] = origin.json }
    guard let choice else { return .object(keys) }
    keys["at"] = .object([
      "requested": .string(choice.moment.iso8601), "created_at": .string(choice.created.iso8601),
      "behind_ms": .integer(choice.behind), "warnings": .array(choice.warnings.map { .string($0) }),
    ])
    return .object(keys)
  }
}
