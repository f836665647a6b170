import BackupEngine
import BackupPolicy
import Logging

/// What came of a drill, or of a look at the history.
struct DrillResult: Sendable {
  /// Nil where nothing was drilled.
  var ending: DrillMachine.Ending?
  /// What the history says now; nil where it cannot be read.
  var figures: DrillFigures?
  /// The history's folder before it was read, to tell when somebody else adds to it.
  var seen: FileStatus?
}

/// The blocking side of the agent's drills: beside the backups, for a drill may take minutes, and no change waits for it.
struct DrillWork: Sendable {
  let service: BackupService
  let assertions: [DrillAssertion]
  let logger: Logger

  /// Drills the newest point. A failure is in the history, where the loop finds it.
  func drill(_ progress: Progress) -> DrillResult {
    let ending: DrillMachine.Ending
    do {
      let point = try service.point("latest")
      let record = try service.drill(
        point, DrillRequest(assertions: assertions, trigger: .scheduled), progress: progress)
      log(record)
      ending = .done
    } catch {
      let words = (error as? HoldfastError)?.message ?? "\(error)"
      logger.warning("the drill is put off: \(words)")
      ending = .putOff(reason: words)
    }
    var result = look()
    result.ending = ending
    return result
  }

  /// Reads the history.
  func look() -> DrillResult {
    let seen = Self.folder(of: service)
    do {
      guard try service.environment.files.status(service.folder) != nil else { return DrillResult(seen: seen) }
      return DrillResult(figures: try service.drillFigures(), seen: seen)
    } catch {
      logger.debug("the history of drills cannot be read: \(error)")
      return DrillResult(seen: seen)
    }
  }

  /// The history's folder as it is now; nil where there is none.
  static func folder(of service: BackupService) -> FileStatus? {
    (try? service.environment.files.status("\(service.folder)/\(DrillHistory.name)")).flatMap { $0 }
  }

  private func log(_ record: DrillRecord) {
    for note in record.notes { logger.warning("\(note)") }
    guard record.passed, let restore = record.restoreMS, let check = record.checkMS else { return }
    logger.info("\(record.subject.id) is proven: restored in \(restore) ms, checked in \(check) ms")
  }
}

/// How the drills of one database stand.
package struct DrillStatus: Hashable, Sendable {
  /// The newest point that passed one, and is still what it was then.
  package var newestProven: DrillFigures.Proof?
  /// When the last one was made; nil without any.
  package var last: Timestamp?
  /// When the last one was made that passed.
  package var lastPassed: Timestamp?
  /// Why the last one failed; nil where it did not.
  package var failure: String?
  /// Milliseconds that the last one that passed took to restore.
  package var recovery: Int64?
  /// The next one by the clock.
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
