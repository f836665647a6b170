import BackupEngine
import BackupPolicy

/// The figures of the drills in `stats`.
package struct DrillListing {
  private let drills: DrillFigures
  private let concerns: [DrillConcern]
  private let zone: ZoneRules

  /// - Parameter zone: in which times are shown.
  package init(drills: DrillFigures, concerns: [DrillConcern], zone: ZoneRules) {
    (self.drills, self.concerns, self.zone) = (drills, concerns, zone)
  }

  /// The backup to fall back on, before all other figures.
  func addProof(_ fields: inout FieldList) {
    fields.add(
      "Newest proven",
      drills.newestProven.map {
        "\($0.id), made \(zone.stamp($0.created)), drilled \(zone.stamp($0.proved))"
      } ?? "none: run holdfast drill to prove that a backup can be restored")
  }

  func addTimes(_ fields: inout FieldList) {
    guard let last = drills.drills.first else { return }
    let failed = drills.failures == 0 ? "" : ", \(drills.failures.grouped) failed"
    fields.add("Drills", "\(drills.drills.count.grouped)\(failed)")
    fields.add("Last drill", "\(zone.stamp(last.started)), \(last.passed ? "passed" : "failed")")
    if let recovery = drills.lastRecovery {
      fields.add(
        "Recovery time", "\(Duration.words(recovery.restore)) to restore, \(Duration.words(recovery.check)) to check")
    }
    let sample = min(DrillFigures.sample, drills.passed.count)
    if sample > 1, let median = drills.medianRecovery {
      fields.add("Median recovery", "\(Duration.words(median)) to restore, of \(sample) drills")
    }
    for concern in concerns { fields.add("Drill concern", concern.words) }
  }

  /// `newest_proven` and `drills` of the document.
  func adding(to document: JSONValue) -> JSONValue {
    guard case .object(var keys) = document, case .object(var drills) = drills.json else { return document }
    keys["newest_proven"] = drills.removeValue(forKey: "newest_proven")
    drills["concerns"] = .array(concerns.map { .string($0.words) })
    keys["drills"] = .object(drills)
    return .object(keys)
  }
}
