import BackupEngine
import BackupPolicy
import Logging
import Names

/// What others learn of one database: the journal of its decisions, its events, its counts, and the
/// answers to requests for a backup. Belongs to the loop's thread.
final class DatabaseReporter {
  /// A request that is answered when a backup holds the state of the time of the request.
  private struct Waiter {
    var reply: ControlReply
    /// A backup has begun since the request, so it holds that state.
    var isCovered = false
  }

  private(set) var journal: DecisionJournal
  private(set) var counters = BackupCounters()
  /// When the first change had happened that the running backup covers, in monotonic milliseconds;
  /// nil if it was not a change that started it.
  private var waitingSince: Int64?
  /// When the newest backup was made that passed a verification; nil if none is known.
  private(set) var newestVerified: Timestamp?
  private var isJournalUnsaved = false
  private var lastSave = Int64.min
  private var knownDecisions = 0
  private var waiters: [Waiter] = []
  private let name: String
  private let file: DecisionFile
  private let shared: LoopContext

  /// Milliseconds between two writes of the journal.
  private static let savingInterval: Int64 = 60_000

  init(_ database: AgentDatabase, _ shared: LoopContext, _ logger: Logger) {
    (name, self.shared) = (database.name, shared)
    file = DecisionFile(database.engine, logger)
    journal = file.load()
  }

  /// The machine has received an event.
  func record(_ machine: TriggerMachine, _ action: TriggerAction) {
    let (new, count) = machine.decisions(after: knownDecisions)
    knownDecisions = count
    for decision in new {
      journal.record(decision)
      shared.feed.publish(
        "decision", of: name, ["kind": .string(decision.kind.text), "reason": .string(decision.reason)])
    }
    if !new.isEmpty {
      isJournalUnsaved = true
      shared.metrics.recordChange(at: shared.clock.monotonic)
    }
    switch action {
    case .start, .renew:
      for index in waiters.indices { waiters[index].isCovered = true }
      let clock = shared.clock.moment
      waitingSince = machine.status.unprotectedSince.map {
        clock.monotonic.addingClamped($0.milliseconds.addingClamped(-clock.wall.milliseconds))
      }
    case .wait, .skip, .stop: break
    }
  }

  /// An alarm has begun or ended.
  func recordAlarm(_ kind: String, _ message: String, hint: String?, began: Bool) {
    recordAlarmChange()
    shared.feed.publish(
      began ? "alarm" : "alarm_over", of: name,
      ["kind": .string(kind), "message": .string(message), "hint": .optional(hint)])
    shared.metrics.recordChange(at: shared.clock.monotonic)
  }

  /// The alarms that last are others than before.
  func recordAlarmChange() { shared.alarmChanges += 1 }

  // MARK: Requests for a backup

  /// Answers when the next backup that begins has ended.
  func await(_ reply: ControlReply) { waiters.append(Waiter(reply: reply)) }

  /// The client of a request has ended.
  func forget(_ id: Int) { waiters.removeAll { $0.reply.id == id } }

  /// A backup has ended.
  ///
  /// - Parameter isAgain: it was given up, and begins again at once.
  func record(_ report: BackupReport, isAgain: Bool) {
    count(report, isAgain: isAgain)
    newestVerified = report.newestVerified ?? newestVerified
    if let point = report.stored {
      shared.feed.publish(
        "stored", of: name,
        [
          "backup_id": .string(point.id.text), "bytes": .integer(point.compressedSize),
          "duration_ms": .optional(point.durationMS), "kind": .string(point.kind.rawValue),
        ])
    }
    guard !isAgain else {
      for index in waiters.indices { waiters[index].isCovered = false }
      return
    }
    answer(report.ending)
  }

  /// The first look at the repository has ended: its newest backups are known.
  ///
  /// - Parameter verified: when the newest backup was made that passed a verification.
  func recordAssessment(newestVerified verified: Timestamp?) {
    newestVerified = verified ?? newestVerified
    shared.metrics.recordChange(at: shared.clock.monotonic)
  }

  private func count(_ report: BackupReport, isAgain: Bool) {
    guard !isAgain else { return }
    shared.metrics.recordChange(at: shared.clock.monotonic)
    // A full that was stored in its place proves nothing about a search.
    if let how = report.how, report.stored?.kind != .full { counters.record(BackupCounters.Search(how)) }
    switch report.ending {
    case .success(.stored(let point)):
      counters.recordStored(
        point.kind, bytes: point.compressedSize, pages: Int64(point.pagesStored ?? point.pageCount ?? 0),
        duration: point.durationMS,
        delay: waitingSince.map { shared.clock.monotonic.addingClamped(-$0) })
    case .success(.unchanged), .success(.absent): counters.record(.unchanged)
    case .failure: counters.record(.failed)
    }
  }

  /// A drill has ended.
  func record(_ drill: DrillResult.Attempt) {
    counters.recordDrill(restore: drill.restore)
    shared.metrics.recordChange(at: shared.clock.monotonic)
  }

  /// A backup could not begin, or nothing will be backed up any more.
  func fail(_ error: HoldfastError, all: Bool = false) {
    if all { for index in waiters.indices { waiters[index].isCovered = true } }
    answer(.failure(error))
  }

  private func answer(_ ending: Result<BackupEnding, any Error>) {
    let ended = waiters.filter(\.isCovered)
    waiters.removeAll(where: \.isCovered)
    for waiter in ended {
      switch ending {
      case .success(.stored(let point)):
        waiter.reply.send(["stored": .bool(true), "backup_id": .string(point.id.text)])
      case .success(.unchanged(let id)): waiter.reply.send(["stored": .bool(false), "backup_id": .string(id.text)])
      case .success(.absent(let error)): waiter.reply.send(error)
      case .failure(let error): waiter.reply.send(HoldfastError(wrapping: error))
      }
    }
  }

  // MARK: The journal's file

  /// When the journal is written next, in monotonic milliseconds; nil if it need not be.
  var deadline: Int64? { isJournalUnsaved ? max(lastSave, 0).addingClamped(Self.savingInterval) : nil }

  /// Writes the journal if that is due.
  func handleTime(at time: Int64) {
    guard let deadline, deadline <= time else { return }
    lastSave = time
    isJournalUnsaved = false
    shared.housekeeping.submit(nil) { [file, journal] in
      file.save(journal)
      return .journalSaved
    }
  }

  /// Writes the journal at the end.
  func end() {
    fail(HoldfastError(.refused, "the agent has stopped"), all: true)
    if isJournalUnsaved { file.save(journal) }
  }
}
