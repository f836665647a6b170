import BackupPolicy
import Logging

/// What the next agent must know of the alarms of one database, and what the one before knew.
///
/// An agent detects most alarms again only after a while: a backup must fail again, or a target be
/// behind again. Until then the alarms of before are kept, so that one that lasts over restarts has
/// begun once. Belongs to the loop's thread.
struct AlarmMemory {
  /// Milliseconds between two writes of the file, and until one that failed is tried again.
  private static let savingInterval: Int64 = 1000
  private static let retryInterval: Int64 = 60_000

  /// The alarms of before that this agent has not detected, and until when it may, monotonic.
  private var before: [OpenAlarm.Key: (remembered: RememberedAlarm, until: Int64)] = [:]
  /// What the file has.
  private var saved: [RememberedAlarm]
  /// When the file is due, monotonic; nil if it has all alarms.
  private var due: Int64?
  private let file: AlarmFile
  private let logger: Logger

  init(_ file: AlarmFile, at moment: Moment, _ logger: Logger) {
    (self.file, self.logger) = (file, logger)
    saved = file.load()
    for var remembered in saved {
      let unseen = min(remembered.unseenSince ?? moment.wall, moment.wall)
      remembered.unseenSince = unseen
      // An agent that restarts often must forget them as well.
      let patience = NotificationMachine.patience(after: remembered.alarm.key.kind)
      let left = patience.addingClamped(unseen.milliseconds).addingClamped(-moment.wall.milliseconds)
      guard left > 0 else { continue }
      before[remembered.alarm.key] = (remembered, moment.monotonic.addingClamped(left))
    }
    if !saved.isEmpty { recordChange(at: moment.monotonic) }
  }

  /// When ``handleTime(at:_:)`` has something to do, monotonic; nil if it does not.
  var deadline: Int64? { [due, before.values.map { $0.until }.min()].compactMap(\.self).min() }

  /// The alarm of this kind of before, which is detected again.
  mutating func take(_ key: OpenAlarm.Key) -> OpenAlarm? { before.removeValue(forKey: key)?.remembered.alarm }

  /// The condition of this kind does not exist any more.
  ///
  /// - Parameter time: monotonic.
  mutating func forget(_ key: OpenAlarm.Key, at time: Int64) {
    if before.removeValue(forKey: key) != nil { recordChange(at: time) }
  }

  /// The target is not configured any more.
  ///
  /// - Parameter time: monotonic.
  mutating func forget(target: String, at time: Int64) {
    before = before.filter { $0.key.subject != target }
    recordChange(at: time)
  }

  /// An alarm has begun or ended.
  ///
  /// - Parameter time: monotonic.
  mutating func recordChange(at time: Int64) { due = due ?? time.addingClamped(Self.savingInterval) }

  /// Forgets the alarms that have not been detected again, and writes the file if it is due.
  ///
  /// - Parameters:
  ///   - time: monotonic.
  ///   - alarms: those that last.
  mutating func handleTime(at time: Int64, _ alarms: () -> [OpenAlarm]) {
    guard let deadline, deadline <= time else { return }
    before = before.filter { $0.value.until > time }
    due = save(alarms()) ? nil : time.addingClamped(Self.retryInterval)
  }

  /// - Parameter alarms: those that last.
  /// - Returns: whether the file has them.
  @discardableResult
  mutating func save(_ alarms: [OpenAlarm]) -> Bool {
    let all = alarms.map { RememberedAlarm($0) } + before.values.map { $0.remembered }
    let sorted = all.sorted { $0.alarm.key < $1.alarm.key }
    guard sorted != saved else { return true }
    do {
      try file.save(sorted)
      saved = sorted
      return true
    } catch {
      logger.debug("the alarms are not saved: \(error)")
      return false
    }
  }
}
