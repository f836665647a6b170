import BackupEngine
import BackupPolicy
import Names

/// The steps and the result of a drill, as `drill` prints them.
struct DrillReport {
  let record: DrillRecord
  /// The zone in which times are shown.
  let zone: ZoneRules
  /// If the backup is damaged: the newest other usable backup, if there is one.
  var newestWhole: PointID??

  var lines: [String] {
    ["\(record.subject.id), \(record.subject.kind), made \(zone.wallClock(record.subject.created))", ""]
      + record.checks.map { VerificationListing.line($0) } + record.answers.flatMap(line)
      + record.notes.map { "  ! \($0.printable)" } + [""] + times + [conclusion]
      + (newestWhole.map { WholePoint.lines($0) } ?? [])
  }

  var json: JSONValue {
    guard let newestWhole, case .object(var keys) = record.fullJSON else { return record.fullJSON }
    keys["newest_whole"] = .optional(newestWhole?.text)
    return .object(keys)
  }

  private func line(_ answer: DrillRecord.Answer) -> [String] {
    guard !answer.passed else { return ["  ✓ \(answer.label.printable)"] }
    guard let assertion = answer.assertion else { return ["  ✗ \(answer.label.printable)"] }
    let got = answer.error?.printable ?? "\"\((answer.answer ?? "").shortened.printable)\""
    return [
      "  ✗ \(answer.label.printable) — \(assertion.sql.shortened.printable)",
      "      expected \"\(assertion.expect.shortened.printable)\", and got \(got)",
    ]
  }

  private var times: [String] {
    guard let restore = record.restoreMS else { return [] }
    let checks = record.checkMS.map { ", checked in \(Duration.words($0))" } ?? ""
    return ["Restored in \(Duration.words(restore))\(checks)"]
  }

  private var conclusion: String {
    guard let failure = record.failure else { return "✓ passed: the backup is proven" }
    // The answer of an assertion is in the lines above.
    return failure.step == .assertions
      ? "✗ failed: \(failure.message.printable)" : "✗ failed at \(failure.step.words): \(failure.message.printable)"
  }
}

/// The figures of the drills in `stats`.
struct DrillListing {
  let drills: DrillFigures
  let concerns: [DrillConcern]
  /// The zone in which times are shown.
  let zone: ZoneRules

  /// The backup to fall back on, before all other figures.
  func addProof(_ fields: inout FieldList) {
    fields.add(
      "Newest proven",
      drills.newestProven.map {
        "\($0.id), made \(zone.wallClock($0.created)), drilled \(zone.wallClock($0.proved))"
      } ?? "none: run holdfast drill to prove that a backup can be restored")
  }

  func addTimes(_ fields: inout FieldList) {
    guard let last = drills.drills.first else { return }
    let failed = drills.failures == 0 ? "" : ", \(drills.failures.grouped) failed"
    fields.add("Drills", "\(drills.drills.count.grouped)\(failed)")
    fields.add("Last drill", "\(zone.wallClock(last.started)), \(last.passed ? "passed" : "failed")")
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
