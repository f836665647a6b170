import BackupPolicy

/// How thoroughly to look.
package enum VerificationDepth: String, Sendable {
  /// The file, its size and its checksum; needs no key.
  case quick
  /// Also decryption, decompression, digest and SQLite's own checks.
  case full
}

/// One named check.
package struct Check: Hashable, Sendable {
  package enum Outcome: String, Sendable {
    case passed
    case failed
    case warning
    case skipped
  }

  package var name: String
  package var outcome: Outcome
  /// What was found, in words; nil where there is nothing to say.
  package var detail: String?

  /// The checks' names; the first six are the original service's.
  package enum Name {
    package static let file = "file_existence"
    package static let checksum = "checksum_validation"
    package static let decryption = "decryption_test"
    package static let decompression = "decompression_test"
    package static let integrity = "sqlite_integrity_check"
    package static let foreignKeys = "foreign_key_check"
    package static let size = "file_size"
    package static let authentication = "authentication"
    package static let digest = "digest_validation"
    /// Of an incremental: every point that it needs.
    package static let chain = "chain"
  }
}

/// What a verification found.
package struct Verification: Sendable {
  package var id: PointID
  package var depth: VerificationDepth
  package var checks: [Check]
  package var date: Timestamp
  /// Things that are odd but make the point no worse.
  package var notes: [String] = []

  /// No check failed. Skipped checks and warnings make a point no worse.
  package var verified: Bool { !checks.contains { $0.outcome == .failed } }
  package var errors: [String] {
    checks.filter { $0.outcome == .failed }.map { check in
      check.detail.map { "\(check.name): \($0)" } ?? check.name
    }
  }

  package var json: JSONValue {
    .object([
      "backup_id": .string(id.text), "verified": .bool(verified), "depth": .string(depth.rawValue),
      "checks": .array(
        checks.map {
          .object([
            "name": .string($0.name), "passed": .bool($0.outcome != .failed), "outcome": .string($0.outcome.rawValue),
            "detail": .optional($0.detail),
          ])
        }),
    ])
  }
}
