import BackupEngine
import BackupPolicy
import Names

/// The steps and the result of a drill, as `drill` prints them.
package struct DrillReport {
  private let record: DrillRecord
  private let zone: ZoneRules
  private let commands: CommandSpelling
  /// If the backup is damaged: the newest other usable backup, if there is one.
  package var newestWhole: PointID??

  /// - Parameters:
  ///   - zone: in which times are shown.
  ///   - commands: of the advice for a damaged backup.
  package init(record: DrillRecord, zone: ZoneRules, commands: CommandSpelling) {
    (self.record, self.zone, self.commands) = (record, zone, commands)
  }

  /// The steps, the times and the result.
  package var lines: [String] {
    ["\(record.subject.id), \(record.subject.kind), made \(zone.stamp(record.subject.created))", ""]
      + record.checks.map { VerificationListing.line($0) } + record.answers.flatMap(line)
      + record.notes.map { "  ! \($0.printable)" } + [""] + times + [conclusion]
      + (newestWhole.map { WholePoint.lines($0, commands) } ?? [])
  }

  /// The record with all answers, and `newest_whole` if the backup is damaged.
  package var json: JSONValue {
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
