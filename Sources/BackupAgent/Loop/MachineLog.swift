import BackupPolicy
import Logging

/// Logs the decisions of a database's trigger machine that start nothing. Each wait for the end of
/// the quiet hours, and each advised full, is logged once.
struct MachineLog {
  private let logger: Logger
  private var quietWait: QuietWait?

  init(_ logger: Logger) { self.logger = logger }

  mutating func record(_ action: TriggerAction, of machine: TriggerMachine) {
    if let wait = machine.quietWait, wait != quietWait { logger.info("\(wait.text)") }
    quietWait = machine.quietWait
    switch action {
    case .skip(let reason): logger.info("skipped: \(reason)")
    case .wait: logger.debug("\(machine.waitText)")
    case .start, .renew, .stop: break
    }
  }

  /// Called before the machine receives the advice, and knows it from then on.
  func record(_ advice: FullAdvice?, of machine: TriggerMachine) {
    guard let advice, machine.isNews(advice) else { return }
    logger.info("a full backup is due\(machine.time(of: advice)): \(advice.reason)")
  }
}
