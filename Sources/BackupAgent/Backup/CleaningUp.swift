import BackupEngine
import BackupPolicy
import Logging

/// Removes what retention does not keep. A failure is logged, and fails nothing else. Blocks.
struct CleaningUp {
  let service: BackupService
  let policy: RetentionPolicy
  let logger: Logger

  func run(_ progress: Progress) {
    do {
      guard try service.environment.files.status(service.folder) != nil else { return }
      let decision = try service.cleanup(policy, clock: .waiting, progress: progress)
      if let refused = decision.refused { logger.error("nothing was cleaned up: \(refused)") }
      for verdict in decision.remove where decision.refused == nil {
        logger.info("removed \(verdict.id): \(verdict.reasons.joined(separator: ", "))")
      }
    } catch let error as HoldfastError where error.code == .interrupted {
      logger.debug("cleaning up was cut short, and goes on after the next backup")
    } catch {
      logger.warning("cleaning up failed: \(error)")
    }
  }
}
