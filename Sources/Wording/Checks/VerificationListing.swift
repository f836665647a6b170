import BackupEngine
import BackupPolicy
import Names

/// The findings of `verify` for one backup, or the reason why it could not be checked.
package struct VerificationListing {
  package let id: PointID
  private let result: Result<Verification, HoldfastError>
  private let commands: CommandSpelling
  /// If it is not verified: the newest usable backup.
  package var newestWhole: PointID?

  /// - Parameters:
  ///   - result: the failure is the reason why the backup could not be checked.
  ///   - commands: of the hint in an error.
  package init(id: PointID, result: Result<Verification, HoldfastError>, commands: CommandSpelling) {
    (self.id, self.result, self.commands) = (id, result, commands)
  }

  /// The backups that are damaged because of it.
  package var broken: [PointID] {
    guard case .success(let verification) = result, !verification.verified else { return [] }
    return [id] + (verification.brokenLink.map { [$0] } ?? [])
  }

  /// The exit code for this backup; nil if it is verified.
  package var exitCode: Int32? {
    switch result {
    case .success(let verification): verification.verified ? nil : HoldfastError.Code.verificationFailed.exitCode
    case .failure(let error): error.code.exitCode
    }
  }

  /// For standard error: the backup is sound, but the database in it has a flaw.
  package var warnings: [String] {
    guard case .success(let verification) = result, !verification.findings.isEmpty else { return [] }
    return FlawWarning.lines(id, verification.findings)
  }

  /// Every check.
  package var lines: [String] {
    switch result {
    case .success(let verification):
      ["\(id)", "", "Checks performed:"] + verification.checks.map { Self.line($0) }
        + verification.notes.map { "  ! \($0.printable)" }
        + ["", verification.verified ? "✓ \(conclusion(verification))" : "✗ not verified"]
    case .failure(let error): ["\(id)", "", "✗ not verified: \(error.message.printable)"]
    }
  }

  /// One line, and below it only failures, warnings and notes.
  package var shortLines: [String] {
    switch result {
    case .success(let verification):
      [verification.verified ? "✓ \(id)  \(conclusion(verification))" : "✗ \(id)  not verified"]
        + verification.checks.filter { [.failed, .warning].contains($0.outcome) }.map { "  \(Self.line($0))" }
        + verification.notes.map { "    ! \($0.printable)" }
    case .failure(let error): ["✗ \(id)  not verified: \(error.message.printable)"]
    }
  }

  /// `✓ 33 backups are verified`
  package static func total(_ listings: [VerificationListing]) -> [String] {
    let failed = listings.count { $0.exitCode != nil }
    let isQuick = listings.contains { if case .success(let found) = $0.result { found.depth != .full } else { false } }
    let good = isQuick ? "unchanged since they were stored" : "verified"
    let nouns = listings.count == 1 ? "backup" : "backups"
    guard !listings.isEmpty else { return ["There is no backup to verify"] }
    return [
      "",
      failed == 0
        ? "✓ \(listings.count.grouped) \(nouns) \(good)"
        : "✗ \(failed.grouped) of \(listings.count.grouped) \(nouns) not verified",
    ]
  }

  /// `2 of 33 backups are not verified: ID, ID`; nil if all are verified.
  package static func failure(_ listings: [VerificationListing]) -> String? {
    let failed = listings.filter { $0.exitCode != nil }.map(\.id.text)
    guard let first = failed.first else { return nil }
    guard listings.count > 1 else { return "\(first) is not verified" }
    let shown = failed.prefix(5).joined(separator: ", ") + (failed.count > 5 ? ", …" : "")
    return "\(failed.count.grouped) of \(listings.count.grouped) backups are not verified: \(shown)"
  }

  /// A quick check proves that the archive is unchanged, not that it can be restored.
  private func conclusion(_ verification: Verification) -> String {
    guard verification.depth == .full else { return "unchanged since it was stored" }
    return verification.findings.isEmpty ? "verified" : "verified; the database in it is flawed"
  }

  static func line(_ check: Check) -> String {
    let detail = check.detail?.printable
    return switch check.outcome {
    case .passed: "  ✓ \(check.name)" + (detail.map { " (\($0))" } ?? "")
    case .failed: "  ✗ \(check.name)" + (detail.map { " — \($0)" } ?? "")
    case .skipped: "  - \(check.name)" + (detail.map { " (skipped: \($0))" } ?? " (skipped)")
    case .warning: "  ! \(check.name)" + (detail.map { " — \($0)" } ?? "")
    }
  }

  /// The checks, and `newest_whole` if it is not verified.
  package var json: JSONValue {
    switch result {
    case .success(let verification): Self.json(verification, newestWhole)
    case .failure(let error):
      .object([
        "backup_id": .string(id.text), "verified": .bool(false), "checks": .array([]),
        "error": ErrorText(error, commands).json,
      ])
    }
  }

  private static func json(_ verification: Verification, _ newestWhole: PointID?) -> JSONValue {
    guard !verification.verified, case .object(var keys) = verification.json else { return verification.json }
    keys["newest_whole"] = .optional(newestWhole?.text)
    return .object(keys)
  }
}
