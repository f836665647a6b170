import BackupPolicy
import SQLitePages

/// How thoroughly to look.
public enum VerificationDepth: String, Sendable {
  /// The file, its size and its checksum; needs no key.
  case quick
  /// Also decryption, decompression, digest and SQLite's own checks.
  case full
}

/// One named check of a point.
public struct Check: Hashable, Sendable {
  /// How a check ended.
  public enum Outcome: String, Sendable {
    /// Nothing is wrong.
    case passed
    /// The point cannot be relied on.
    case failed
    /// Worth knowing; the point is sound.
    case warning
    /// It could not be made here, or the depth does not ask for it.
    case skipped
  }

  /// One of ``Name``.
  public package(set) var name: String
  /// How it ended.
  public package(set) var outcome: Outcome
  /// What was found, in words; nil where there is nothing to say.
  public package(set) var detail: String?

  /// The checks' names; the first six are the original service's.
  public enum Name {
    /// The archive is there.
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
    /// The key that opens it made it.
    public static let authentication = "authentication"
    /// The pages in it are the pages that were read.
    public static let digest = "digest_validation"
    /// Of an incremental: every point that it needs.
    public static let chain = "chain"
  }
}

/// What a verification found.
public struct Verification: Sendable {
  /// The point that was verified.
  public package(set) var id: PointID
  /// How thoroughly.
  public package(set) var depth: VerificationDepth
  /// Every check, in the order it was made.
  public package(set) var checks: [Check]
  /// When.
  public package(set) var date: Timestamp
  /// What SQLite's checks found in the database that was backed up, in SQLite's words: the backup is verified all the same.
  public package(set) var findings: [String] = []
  /// Whether SQLite's checks ran.
  package var checkedContent = false
  /// Things that are odd but make the point no worse.
  public package(set) var notes: [String] = []
  /// The point of its chain that is at fault, where that is another one.
  package var brokenLink: PointID?

  /// No check failed. Skipped checks and warnings make a point no worse.
  public var verified: Bool { !checks.contains { $0.outcome == .failed } }
  /// What failed, one line a check: its name and what was found.
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

/// Writes what a verification found into the point's metadata.
struct VerificationRecord {
  let repository: Repository
  let environment: EngineEnvironment

  /// Returns why it could not be recorded, where it could not: a read-only repository is verified all the same.
  func store(_ verification: Verification, of point: StoredPoint) -> String? {
    // What is not authenticated, or not there, is reported and left as it is found.
    guard point.isAuthenticated, !point.archiveMissing else { return nil }
    do {
      try repository.exclusively(patience: environment.repositoryPatience) {
        // Read again under the lock: the point may have been deleted or rewritten meanwhile.
        guard let current = try repository.stored(point.id), current.metadata.sequence == point.metadata.sequence,
          current.metadata.checksum == point.metadata.checksum
        else { return }
        var metadata = current.metadata
        apply(verification, to: &metadata)
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
      // No check of the content tells whether a page is missing that a tracker did not see change.
      if metadata.verified && ![.anomalous, .suspect].contains(metadata.status) { metadata.status = .verified }
      metadata.settleAnomaly()
    } else if metadata.status == .failed {
      // A quick check clears an old failure, but proves less than a full one.
      metadata.status = .completed
      metadata.settleAnomaly()
    }
  }
}
