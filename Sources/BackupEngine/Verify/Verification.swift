import BackupPolicy
import SQLitePages

/// How thorough a verification is.
///
/// ```swift
/// try await service.verify(backup.id, depth: .quick)  // needs no key
/// ```
public enum VerificationDepth: String, Sendable {
  /// The file, its size and its checksum; needs no key.
  case quick
  /// Also decryption, decompression, digest and SQLite's own checks.
  case full
}

/// One named check of a backup.
///
/// ```swift
/// let checks = try await service.verify(backup.id).checks
/// let integrity = checks.first { $0.name == Check.Name.integrity }?.outcome
/// ```
public struct Check: Hashable, Sendable {
  /// How a check ended.
  public enum Outcome: String, Sendable {
    /// No problem was found.
    case passed
    /// The backup is not reliable.
    case failed
    /// Worth knowing; the backup is sound.
    case warning
    /// The check could not run here, or the depth does not include it.
    case skipped
  }

  /// One of ``Name``.
  public package(set) var name: String
  /// How it ended.
  public package(set) var outcome: Outcome
  /// The finding, in words; nil if there is nothing to report.
  public package(set) var detail: String?

  /// The checks' names; the first six are the original service's.
  public enum Name {
    /// The archive exists.
    public static let file = "file_existence"
    /// Its SHA-256 is the recorded one.
    public static let checksum = "checksum_validation"
    /// Every byte of it decrypts.
    public static let decryption = "decryption_test"
    /// Every byte of it decompresses.
    public static let decompression = "decompression_test"
    /// SQLite's own check of the database in it.
    public static let integrity = "sqlite_integrity_check"
    /// SQLite's check of foreign keys; at worst a warning.
    public static let foreignKeys = "foreign_key_check"
    /// It has the recorded size.
    public static let size = "file_size"
    /// The key that opens it also created it.
    public static let authentication = "authentication"
    /// The pages in it are the pages that were read.
    public static let digest = "digest_validation"
    /// For an incremental: every backup that it needs.
    public static let chain = "chain"
  }
}

/// The result of a verification.
///
/// ```swift
/// let verification = try await service.verify(backup.id)
/// if !verification.verified { print("\(backup.id): \(verification.errors)") }
/// if !verification.findings.isEmpty { print("the database has flaws: \(verification.findings)") }
/// ```
public struct Verification: Sendable {
  /// The backup that was verified.
  public package(set) var id: PointID
  /// How thoroughly it was verified.
  public package(set) var depth: VerificationDepth
  /// Every check, in the order of execution.
  public package(set) var checks: [Check]
  /// The time of the verification.
  public package(set) var date: Timestamp
  /// The findings of SQLite's checks in the database that was backed up, in SQLite's words. The
  /// backup still counts as verified.
  public package(set) var findings: [String] = []
  /// Whether SQLite's checks ran.
  package var checkedContent = false
  /// Oddities that do not devalue the backup.
  public package(set) var notes: [String] = []
  /// The backup of its chain that is at fault, if it is not this one.
  package var brokenLink: PointID?

  /// No check failed. Skipped checks and warnings do not devalue a backup.
  public var verified: Bool { !checks.contains { $0.outcome == .failed } }
  /// The failed checks, one line for each: its name and the finding.
  public var errors: [String] {
    checks.filter { $0.outcome == .failed }.map { check in
      check.detail.map { "\(check.name): \($0)" } ?? check.name
    }
  }

  package var json: JSONValue {
    .object([
      "backup_id": .string(id.text), "verified": .bool(verified), "depth": .string(depth.rawValue),
      "checks": .array(checks.map(\.json)), "findings": .array(findings.map { .string($0) }),
    ])
  }
}

/// Records the result of a verification in the backup's metadata.
struct VerificationRecord {
  let repository: Repository
  let environment: EngineEnvironment
  /// Ends the wait for the repository's lock if it is stopped.
  var progress = Progress()

  /// Returns the reason if the result could not be recorded: a read-only repository can still be
  /// verified.
  func store(_ verification: Verification, of point: StoredPoint) -> String? {
    update(point) { apply(verification, to: &$0) }
  }

  /// Records findings of SQLite's checks that another command made; not whether the archive is
  /// sound. An empty list changes nothing.
  func store(findings: [String], of point: StoredPoint) -> String? {
    guard !findings.isEmpty else { return nil }
    let now = environment.now()
    return update(point) { $0.record(findings, sqliteVersion: DatabaseConnection.libraryVersion, at: now) }
  }

  private func update(_ point: StoredPoint, _ change: (inout PointMetadata) -> Void) -> String? {
    // A backup that is not authenticated, or whose archive is missing, is reported and left
    // unchanged.
    guard point.isAuthenticated, !point.archiveMissing else { return nil }
    do {
      try repository.exclusively(patience: environment.repositoryPatience.stopped(by: progress)) {
        // Read again under the lock: the backup may have been deleted or rewritten meanwhile.
        guard let current = try repository.stored(point.id), current.metadata.sequence == point.metadata.sequence,
          current.metadata.checksum == point.metadata.checksum
        else { return }
        var metadata = current.metadata
        change(&metadata)
        if current.needsRewrite, metadata.checksum == nil {
          metadata.checksum = try repository.checksum(ofArchive: current.name.text)
        }
        if metadata != current.metadata || current.needsRewrite { try repository.write(metadata) }
      }
      return nil
    } catch {
      return "the result was not recorded: \((error as? HoldfastError)?.message ?? "\(error)")"
    }
  }

  private func apply(_ verification: Verification, to metadata: inout PointMetadata) {
    metadata.verificationDate = verification.date
    metadata.verificationErrors = verification.errors
    if verification.checkedContent {
      metadata.record(
        verification.findings, sqliteVersion: DatabaseConnection.libraryVersion, at: verification.date)
    }
    if !verification.verified {
      metadata.verified = false
      metadata.status = .failed
    } else if verification.depth == .full {
      metadata.verified = metadata.kind != .raw
      // No check of the content can detect a page that is missing because a tracker did not detect
      // its change.
      if metadata.verified && ![.anomalous, .suspect].contains(metadata.status) { metadata.status = .verified }
      metadata.resolveAnomaly()
    } else if metadata.status == .failed {
      // A quick check clears an old failure, but proves less than a full one.
      metadata.status = .completed
      metadata.resolveAnomaly()
    }
  }
}
