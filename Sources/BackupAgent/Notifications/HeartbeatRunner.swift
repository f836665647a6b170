import BackupEngine
import BackupPolicy
import Logging
import Names
import Notifications
import Wording

/// Sends a sign of life each five minutes, or a failure with its reasons, and the starts and ends
/// of work by the clock. Belongs to the loop's thread.
final class HeartbeatRunner {
  private enum Order {
    case look
    /// The ID joins the two.
    case start(run: String)
    case end(run: String)
  }

  /// Milliseconds.
  static let interval: Int64 = 300_000
  /// Milliseconds from the start to the first sign: the agent then has looked at the databases.
  static let firstDelay: Int64 = 30_000
  /// Milliseconds to the next signal after one that failed.
  private static let retryDelay: Int64 = 60_000
  /// Milliseconds from the begin of an alarm to a look at it: it counts after a minute.
  private static let alarmDelay: Int64 = 61_000
  /// If the other side is slow, more signals are dropped.
  private static let longestQueue = 20

  var heartbeat: Heartbeat
  private let delivery: Delivery
  private let environment: EngineEnvironment
  private let inbox: Mailbox<LoopMessage>
  private let logger: Logger
  private var next: Int64
  private var waiting: [Order] = []
  private var thread: AgentThread?
  /// Since the last signal that was accepted.
  private var failures = 0
  /// The error of the last signal.
  private var failure: HoldfastError?
  /// The last signal was a failure. The next success then needs an end of every alarm: a young alarm
  /// may be the very failure.
  private var hasReportedFailure = false
  /// When an alarm that has begun since the last success is looked at; nil without one.
  private var alarmTime: Int64?
  /// The work by the clock that runs, and its IDs.
  private var runs: [String: String] = [:]

  init(
    _ heartbeat: Heartbeat, _ delivery: Delivery, _ environment: EngineEnvironment, _ inbox: Mailbox<LoopMessage>,
    _ logger: Logger
  ) {
    (self.heartbeat, self.delivery, self.environment) = (heartbeat, delivery, environment)
    (self.inbox, self.logger) = (inbox, logger)
    next = environment.monotonic().addingClamped(Self.firstDelay)
  }

  var deadline: Int64? { thread == nil ? min(next, alarmTime ?? .max) : nil }

  /// Sends the signals that are due.
  ///
  /// - Parameters:
  ///   - work: the drills and scheduled backups that run now.
  ///   - hasAlarm: whether an alarm lasts.
  func update(_ work: Set<String>, hasAlarm: Bool, at time: Int64, _ report: () -> StateReport) {
    for (name, id) in runs where !work.contains(name) {
      runs[name] = nil
      waiting.append(.end(run: id))
    }
    for name in work where runs[name] == nil {
      guard let id = Self.newID() else { continue }
      runs[name] = id
      waiting.append(.start(run: id))
    }
    alarmTime = hasAlarm && !hasReportedFailure ? alarmTime ?? time.addingClamped(Self.alarmDelay) : nil
    if min(next, alarmTime ?? .max) <= time, thread == nil {
      // A longer wait of some alarms is looked at with the next regular signal.
      if alarmTime ?? .max <= time { alarmTime = .max }
      next = time.addingClamped(Self.interval)
      waiting.append(.look)
    }
    waiting = waiting.suffix(Self.longestQueue)
    sendNext(report)
  }

  private func sendNext(_ report: () -> StateReport) {
    guard thread == nil, !waiting.isEmpty else { return }
    let order = waiting.removeFirst()
    do {
      thread = try AgentThread("holdfast-pulse") {
        [heartbeat, delivery, environment, inbox, hasReportedFailure, report = report()] in
        inbox.post(
          .pulsed(
            Result { try Self.send(order, report, heartbeat, delivery, environment, isPatient: !hasReportedFailure) }))
      }
    } catch {
      finish(.failure(error), at: environment.monotonic())
    }
  }

  /// - Parameter isPatient: an alarm counts after the time after which a message would report it.
  /// - Returns: why it was no sign of life; empty if it was one, nil for a start.
  private static func send(
    _ order: Order, _ report: StateReport, _ heartbeat: Heartbeat, _ delivery: Delivery,
    _ environment: EngineEnvironment, isPatient: Bool
  ) throws -> [String]? {
    let entries = report.facts()
    func body(_ reasons: [String]) -> String {
      Heartbeat.body(entries.map(\.facts), reasons: reasons, host: environment.host)
    }
    var run: String?
    switch order {
    case .look: break
    case .start(let id):
      try delivery.send(.start, to: heartbeat, run: id, body: body([]))
      return nil
    case .end(let id): run = id
    }
    // An alarm of work that has just failed counts at once.
    let verdict = HeartbeatVerdict(
      entries, refusals: report.refusals, isPatient: run == nil && isPatient, at: environment.now(), in: heartbeat.zone)
    let signal: Heartbeat.Signal = verdict.reasons.isEmpty ? .success : .failure
    try delivery.send(signal, to: heartbeat, run: run, body: body(verdict.reasons))
    return verdict.reasons
  }

  /// The alarm about the signals; nil if they are accepted. The network may fail once.
  var problem: HoldfastError? {
    guard failures > 1, let failure else { return nil }
    return HoldfastError(
      failure.code, "the signs of life are not accepted: \(failure.message)",
      hint: failure.hint ?? "look at heartbeat_url: the service misses the agent")
  }

  /// A signal was sent, or not. If it fails, the other side notices that it is missing.
  ///
  /// - Parameter time: monotonic milliseconds.
  func finish(_ result: Result<[String]?, any Error>, at time: Int64) {
    join()
    switch result {
    case .success(let reasons):
      if failures > 0 { logger.notice("the heartbeat is accepted again") }
      (failures, failure) = (0, nil)
      guard let reasons else { return }
      hasReportedFailure = !reasons.isEmpty
      logger.debug("heartbeat\(reasons.isEmpty ? "" : ": fail: \(reasons.joined(separator: "; "))")")
    case .failure(let error):
      let error = HoldfastError(wrapping: error)
      logger.log(level: failures > 0 ? .debug : .error, "the heartbeat was not sent: \(error)")
      (failures, failure) = (failures + 1, error)
      next = min(next, time.addingClamped(Self.retryDelay))
    }
  }

  /// A random UUID (RFC 9562, version 4), as services expect it.
  private static func newID() -> String? {
    guard var bytes = try? SecretBytes.random(16) else { return nil }
    (bytes[6], bytes[8]) = (bytes[6] & 0x0f | 0x40, bytes[8] & 0x3f | 0x80)
    let digits = Array(bytes.hexText)
    let ends = [0, 8, 12, 16, 20, 32]
    return zip(ends, ends.dropFirst()).map { String(digits[$0..<$1]) }.joined(separator: "-")
  }

  /// Lets the thread end by itself.
  func release() {
    thread?.detach()
    thread = nil
  }

  /// Waits for the end of the thread, whose work has ended or has been stopped.
  func join() {
    thread?.join()
    thread = nil
  }
}
