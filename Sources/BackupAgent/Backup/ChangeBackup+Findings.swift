import BackupEngine
import BackupPolicy

/// What is found out about a point that was stored: it goes to the log, and the point stays.
extension ChangeBackup {
  func note(_ audit: AuditOutcome, of full: PointID) {
    switch audit {
    case .missed(let miss): logger.error("\(miss.error.message)", metadata: ["hint": "\(miss.error.hint ?? "")"])
    case .passed(let parent): logger.debug("\(full): audited: all that changed since \(parent) was followed")
    case .notAudited(let reason): logger.debug("\(full): not audited: \(reason)")
    }
  }

  func announceAnomaly(_ point: PointMetadata) {
    guard !point.openAnomalies.isEmpty else { return }
    logger.error(
      "\(point.id) of \(service.database ?? "") is anomalous: it \(point.openAnomalies.joined(separator: ", and "))",
      metadata: [
        "hint":
          "what was before it is held; if it was meant, holdfast accept \(point.id) ends that, if not, holdfast list shows what to restore"
      ])
  }

  /// Once, for as long as it stays the same.
  private func announceFlaw(_ id: PointID, _ findings: [String]) {
    guard changes.isNews(findings) else { return }
    guard !findings.isEmpty else { return logger.info("\(id): SQLite's checks find no flaw in the database any more") }
    logger.error(
      "SQLite's checks found a flaw in the database in \(id): \(findings.joined(separator: "; "))",
      metadata: ["hint": "it is backed up as it is; PRAGMA integrity_check in the application tells more"])
  }

  /// What this SQLite cannot read of the database, once.
  func announceSchemaProblem() {
    guard let problem = held.schemaNews else { return }
    logger.warning(
      "SQLite cannot read the schema of \(service.database ?? ""): \(problem.words)",
      metadata: ["hint": "it is backed up by its pages all the same; SQLite's checks are skipped"])
  }

  func verify(_ id: PointID, _ progress: Progress) {
    do {
      let verification = try service.verify(id.text, depth: .full, progress: progress)
      guard !verification.verified else { return announceFlaw(id, verification.findings) }
      logger.error(
        "\(id) failed its verification: \(verification.errors.joined(separator: "; "))",
        metadata: ["hint": "holdfast verify \(id) shows all checks; check the disk and the memory of this machine"])
    } catch {
      logger.error("\(id) could not be verified: \(error)")
    }
  }
}
