import BackupPolicy
import SQLitePages

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
      metadata.verified = metadata.kind != "raw"
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
