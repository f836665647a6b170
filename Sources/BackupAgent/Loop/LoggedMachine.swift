import BackupPolicy
import Logging

/// A database's trigger machine, and the log of its decisions that start nothing. Each long wait,
/// each wait for the end of the quiet hours, each pause, and each advised full is logged once.
struct LoggedMachine {
  private(set) var machine: TriggerMachine
  private let logger: Logger
  private var quietWait: QuietWait?
  private var longWait: String?
  private var pausedUntil: Timestamp?

  init(_ machine: TriggerMachine, _ logger: Logger) { (self.machine, self.logger) = (machine, logger) }

  mutating func receive(_ event: TriggerEvent, at moment: Moment) -> TriggerAction {
    if case .advised(let advice?) = event, machine.isNews(advice) {
      logger.info("a full backup is due\(machine.time(of: advice)): \(advice.reason)")
    }
    let action = machine.receive(event, at: moment)
    logPause()
    if let wait = machine.quietWait, wait != quietWait { logger.info("\(wait.text)") }
    quietWait = machine.quietWait
    if let wait = machine.longWait, wait.reason != longWait { logger.info("\(wait.text)") }
    // A change that is still pending keeps its line, also when less than a minute is left.
    longWait = machine.longWait?.reason ?? (machine.isChangePending(isBackupWaiting: false) ? longWait : nil)
    switch action {
    case .skip(let reason): logger.info("skipped: \(reason)")
    case .wait: logger.debug("\(machine.waitText)")
    case .start, .renew, .stop: break
    }
    return action
  }

  private mutating func logPause() {
    let end = machine.pausedUntil
    guard end != pausedUntil else { return }
    pausedUntil = end
    logger.notice(
      "\(end.map { "paused until \($0.iso8601): a command asked for it" } ?? "the pause is over")",
      metadata: .about(end == nil ? .resumed : .paused))
  }
}
