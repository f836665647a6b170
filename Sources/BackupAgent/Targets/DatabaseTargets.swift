import BackupEngine
import BackupPolicy
import Logging
import Replication

/// The targets of one database. Belongs to the loop's thread.
final class DatabaseTargets {
  private let id: DatabaseID
  private let shared: LoopContext
  private let alarms: AlarmBook
  private let logger: Logger
  private var database: AgentDatabase
  private var keepers: [TargetKeeper] = []
  /// Targets that were removed or changed, until their threads have ended.
  private var leavers: [TargetKeeper] = []
  private var lastNumber = 0
  private var isStopping = false
  /// The time of the repository's folder when the targets last looked at it.
  private var seen: Int64?

  init(_ id: DatabaseID, _ database: AgentDatabase, _ shared: LoopContext, _ alarms: AlarmBook, _ logger: Logger) {
    (self.id, self.database, self.shared, self.alarms, self.logger) = (id, database, shared, alarms, logger)
  }

  private var all: [TargetKeeper] { keepers + leavers }

  var isWorking: Bool { all.contains(where: \.isRunning) }
  var isDone: Bool { all.allSatisfy(\.isDone) }
  var status: [TargetRecord] { keepers.map(\.status) }

  /// The requests to each bucket so far, by the name of the target.
  var traffic: [String: TargetTraffic] {
    Dictionary(keepers.compactMap { keeper in keeper.traffic.map { (keeper.target.name, $0) } }) { first, _ in first }
  }

  /// When something is due by a clock.
  var deadline: Deadline { all.reduce(Deadline()) { $0.earlier($1.deadline) } }

  /// Begins what is configured and not there.
  func start() {
    guard !isStopping else { return }
    for target in database.targets where !keepers.contains(where: { $0.target.name == target.name }) {
      // The memo of a target has one user.
      if leavers.contains(where: { $0.target.address == target.address }) { continue }
      lastNumber += 1
      let number = TargetID(database: id, number: lastNumber)
      let keeper = TargetKeeper(number, target, database.engine, shared, alarms, logger)
      keepers.append(keeper)
      keeper.receive(.tick)
    }
  }

  /// Continues with new settings. Targets that are the same go on.
  func update(_ database: AgentDatabase) {
    self.database = database
    for keeper in keepers {
      let target = database.targets.first { $0.name == keeper.target.name }
      if let target, keeper.isUnchanged(target, database.engine) {
        keeper.receive(.requested)
        continue
      }
      keepers.removeAll { $0 === keeper }
      keeper.abandon()
      if !keeper.isDone { leavers.append(keeper) }
      if target == nil {
        logger.notice("target \(keeper.target.name): nothing is sent to it any more")
        alarms.forget(target: keeper.target.name)
      }
    }
    start()
  }

  // MARK: Events

  func recordBackup(_ point: PointMetadata) {
    seen = folderTime
    for keeper in keepers { keeper.recordBackup(point) }
  }

  /// Backups were removed or merged.
  func recordChange() {
    seen = folderTime
    send(.changed)
  }

  /// Detects backups that commands stored, and take-overs; called with each poll.
  func poll() {
    if !keepers.isEmpty, folderTime != seen { recordChange() }
    for keeper in keepers { keeper.poll() }
  }

  private var folderTime: Int64? {
    (try? database.engine.environment.files.status(database.engine.folder))?.modified
  }

  /// A person asks for a backup now.
  func request() { send(.requested) }

  /// A person asks for the copies in a target now.
  func sync(_ name: String, at address: String, _ reply: ControlReply) {
    guard let keeper = keepers.first(where: { $0.target.name == name && $0.target.address == address }) else {
      return reply.send(
        HoldfastError(
          .usage, "the running agent copies to no target \(name.shortened) with this address",
          hint: "holdfast reload makes it read the configuration again"))
    }
    keeper.sync(reply)
  }

  /// The client of a reply has ended.
  func forget(reply: Int) { for keeper in all { keeper.forget(reply: reply) } }

  /// Does the work that is due.
  func handleTime(at moment: Moment) {
    for keeper in all where keeper.deadline.isReached(at: moment) { keeper.receive(.tick) }
    dropLeavers()
  }

  /// The wall clock was set.
  func handleClockSet() { send(.tick) }

  private func send(_ event: ShippingEvent) { for keeper in keepers { keeper.receive(event) } }

  // MARK: The end

  /// The last backup is stored: what is missing is sent, then the targets end.
  func stop() {
    guard !isStopping else { return }
    isStopping = true
    send(.shutdown)
  }

  /// Gives up what is running.
  func abandon() {
    isStopping = true
    for keeper in all { keeper.abandon() }
  }

  /// Reports the backups that the targets do not have, at the end.
  func reportUnsent() {
    alarms.logEnds(at: .max)
    for keeper in keepers { keeper.reportUnsent() }
  }

  // MARK: Results

  /// - Returns: the advice to make a full, if nothing is sent before it.
  func finish(_ id: TargetID, _ report: ShippingReport) -> FullAdvice? {
    guard let keeper = all.first(where: { $0.id == id }) else { return nil }
    keeper.finish(report)
    return report.outdatedChain.map {
      FullAdvice(.soon, chain: $0, reason: "the target \(keeper.target.name) was taken over")
    }
  }

  /// A check of the folder of a target has ended.
  func finishFolderCheck(_ id: TargetID, isThere: Bool) {
    all.first { $0.id == id }?.finishFolderCheck(isThere: isThere)
  }

  /// A lane has ended.
  func finish(_ id: TargetID) {
    all.first { $0.id == id }?.finish()
    dropLeavers()
  }

  private func dropLeavers() {
    guard leavers.contains(where: \.isDone) else { return }
    leavers.removeAll(where: \.isDone)
    start()
  }
}
