import BackupEngine
import BackupPolicy
import Logging
import SQLitePages

/// Logs findings about backups that are stored; the backups stay. Belongs to the worker.
final class FindingsLog {
  private let engine: Engine
  private let logger: Logger
  /// A replacement was already reported: a program that saves by rename replaces the database each
  /// time.
  private var hasReportedReplacement = false
  /// The findings of SQLite's checks in the newest verified backup.
  private var lastFindings: [String] = []
  /// When the newest backup was made that passed a verification, as far as this process knows.
  private(set) var newestVerified: Timestamp?

  init(_ engine: Engine, _ logger: Logger) {
    (self.engine, self.logger) = (engine, logger)
  }

  /// Logs a replacement. Anything odd about the new content shows in its backup; the replacement
  /// itself is ordinary for some programs.
  func reportReplacement(_ error: HoldfastError) {
    let level: Logger.Level = hasReportedReplacement ? .debug : .notice
    hasReportedReplacement = true
    logger.log(
      level: level, "\(error.message); its backup continues (this is reported once)",
      metadata: ["hint": "\(error.hint ?? "")"])
  }

  func report(_ audit: AuditOutcome, of full: PointID) {
    switch audit {
    case .missed(let miss): logger.error("\(miss.error.message)", metadata: ["hint": "\(miss.error.hint ?? "")"])
    case .passed(let parent): logger.debug("\(full): audited: every change since \(parent) was tracked")
    case .notAudited(let reason): logger.debug("\(full): not audited: \(reason)")
    }
  }

  /// Reports an anomaly of a stored backup, and the parts of the schema that this SQLite cannot
  /// read.
  ///
  /// - Parameter problem: nil if there is no problem, or if it was reported before.
  func reportFindings(in point: PointMetadata, schema problem: SchemaProblem?) {
    if !point.openAnomalies.isEmpty {
      logger.error(
        "\(point.id) of \(engine.database ?? "") is anomalous: it \(point.openAnomalies.joined(separator: ", and "))",
        metadata: [
          "hint":
            "the backups before it are on hold; if the change was intended, run holdfast accept \(point.id); if not, holdfast list shows the backups to restore"
        ])
    }
    guard let problem else { return }
    logger.warning(
      "SQLite cannot read the schema of \(engine.database ?? ""): \(problem.words)",
      metadata: ["hint": "its pages are still backed up; SQLite's checks are skipped"])
  }

  /// - Parameter points: all backups, newest first.
  func find(in points: [StoredPoint]) {
    newestVerified = points.first { $0.obstacle == nil && $0.metadata.verified }?.metadata.created
  }

  func verify(_ point: PointMetadata, _ progress: Progress) {
    let id = point.id
    do {
      let verification = try engine.verify(id.text, depth: .full, progress: progress)
      guard !verification.verified else {
        newestVerified = point.created
        return reportFlaw(id, verification.findings)
      }
      logger.error(
        "\(id) failed its verification: \(verification.errors.joined(separator: "; "))",
        metadata: ["hint": "holdfast verify \(id) shows all checks; check the disk and the memory of this machine"])
    } catch {
      logger.error("\(id) could not be verified: \(error)")
    }
  }

  /// Logs the flaw once, for as long as the findings stay the same.
  private func reportFlaw(_ id: PointID, _ findings: [String]) {
    guard findings != lastFindings else { return }
    lastFindings = findings
    guard !findings.isEmpty else { return logger.info("\(id): SQLite's checks no longer find a flaw in the database") }
    logger.error(
      "SQLite's checks found a flaw in the database in \(id): \(findings.joined(separator: "; "))",
      metadata: ["hint": "it is backed up unchanged; run PRAGMA integrity_check in the application for details"])
  }
}
