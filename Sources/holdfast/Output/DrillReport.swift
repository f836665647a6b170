import BackupEngine
import BackupPolicy
import Names

/// What a drill did, as `drill` prints it.
struct DrillReport {
  let record: DrillRecord
  /// The clocks that times are shown by.
  let zone: ZoneRules
  /// Where the backup is at fault: the newest other one that is whole, if there is any.
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
    // What an assertion got stands above.
    return failure.step == .assertions
      ? "✗ failed: \(failure.message.printable)" : "✗ failed at \(failure.step.words): \(failure.message.printable)"
  }
}

extension Duration {
  /// Milliseconds for people: `840 ms`, `12.4 s`, `3 min 20 s`.
  static func words(_ milliseconds: Int64) -> String {
    if milliseconds < 1000 { return "\(milliseconds) ms" }
    if milliseconds < 100_000 { return "\(milliseconds / 1000).\(milliseconds / 100 % 10) s" }
    return "\(milliseconds / 60000) min \(milliseconds / 1000 % 60) s"
  }
}
