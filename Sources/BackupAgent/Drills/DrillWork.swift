import BackupEngine
import BackupPolicy
import Logging

/// The result of a drill, or of reading the history.
struct DrillResult: Sendable {
  /// A drill that ended.
  struct Attempt: Sendable {
    /// How long the restore took, in milliseconds; nil if the drill failed.
    var restore: Int64?
  }

  /// Nil if no drill ran.
  var ending: DrillMachine.Ending?
  /// Nil if no drill ended.
  var attempt: Attempt?
  /// The figures of the history now; nil if it cannot be read.
  var figures: DrillFigures?
  /// The status of the history's folder before it was read. It changes when another process adds a
  /// record.
  var seen: FileStatus?
}

/// The blocking side of the agent's drills. They run beside the backups because a drill may take
/// minutes, and no change has to wait for it.
struct DrillWork: Sendable {
  let engine: Engine
  let assertions: [DrillAssertion]
  let logger: Logger

  /// Drills the newest backup. A failure is recorded in the history, and the loop reads it there.
  func drill(_ progress: Progress) -> DrillResult {
    let ending: DrillMachine.Ending
    var attempt: DrillResult.Attempt?
    do {
      let point = try engine.point("latest")
      let record = try engine.drill(
        point, DrillRequest(assertions: assertions, trigger: .scheduled), progress: progress)
      log(record)
      ending = .done
      attempt = DrillResult.Attempt(restore: record.passed ? record.restoreMS ?? 0 : nil)
    } catch {
      let words = (error as? HoldfastError)?.message ?? "\(error)"
      logger.warning("the drill is postponed: \(words)")
      ending = .putOff(reason: words)
    }
    var result = readHistory()
    (result.ending, result.attempt) = (ending, attempt)
    return result
  }

  /// Whether the folder of backups is there.
  static func hasRepository(_ engine: Engine) -> Bool {
    ((try? engine.environment.files.status(engine.folder)) ?? nil) != nil
  }

  /// Reads the history.
  func readHistory() -> DrillResult {
    let seen = Self.folder(of: engine)
    do {
      guard Self.hasRepository(engine) else { return DrillResult(seen: seen) }
      return DrillResult(figures: try engine.drillFigures(), seen: seen)
    } catch {
      logger.debug("the history of drills cannot be read: \(error)")
      return DrillResult(seen: seen)
    }
  }

  /// The current status of the history's folder; nil if the folder does not exist.
  static func folder(of engine: Engine) -> FileStatus? {
    (try? engine.environment.files.status("\(engine.folder)/\(DrillHistory.name)")).flatMap { $0 }
  }

  private func log(_ record: DrillRecord) {
    for note in record.notes { logger.warning("\(note)") }
    guard record.passed, let restore = record.restoreMS, let check = record.checkMS else { return }
    logger.info(
      "\(record.subject.id) is proven: restored in \(restore) ms, checked in \(check) ms",
      metadata: .about(.proven, backup: record.subject.id))
  }
}

/// The status of one database's drills.
package struct DrillStatus: Hashable, Sendable {
  /// The newest backup that passed a drill and has not changed since.
  package var newestProven: DrillFigures.Proof?
  /// The time of the last drill; nil if there was no drill.
  package var last: Timestamp?
  /// The time of the last drill that passed.
  package var lastPassed: Timestamp?
  /// The reason why the last drill failed; nil if it did not fail.
  package var failure: String?
  /// The duration of the restore in the last drill that passed, in milliseconds.
  package var recovery: Int64?
  /// The time of the next scheduled drill.
  package var next: Timestamp?
  package var isRunning: Bool
}

extension DrillStatus {
  var json: JSONValue {
    .object([
      "newest_proven": newestProven?.json ?? .null, "last_at": .optional(last?.iso8601),
      "last_passed_at": .optional(lastPassed?.iso8601), "failure": .optional(failure),
      "recovery_ms": .optional(recovery), "next_at": .optional(next?.iso8601), "running": .bool(isRunning),
    ])
  }
}
