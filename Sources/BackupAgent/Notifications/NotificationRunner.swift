import BackupEngine
import BackupPolicy
import Logging
import Notifications

/// The messages and signs of life of an agent. Nothing of it blocks the loop: each message has a
/// thread of its own, so that a slow receiver delays neither a backup nor another channel. Belongs to
/// the loop's thread.
final class NotificationRunner {
  private var channels: [ChannelRunner] = []
  private var heartbeat: HeartbeatRunner?
  private var lastNumber = 0
  /// The alarms that the channels know: the number of changes so far.
  private var seen: Int?
  /// Nil if no database is known; then there is nothing to report.
  private let environment: EngineEnvironment?
  private let owner: String
  private let shared: LoopContext
  private let logger: Logger
  private let progress = Progress()
  private let delivery: Delivery

  init(_ configuration: AgentConfiguration, _ shared: LoopContext, _ logger: Logger) {
    (environment, self.shared, self.logger) = (configuration.environment, shared, logger)
    owner = configuration.databases.first?.engine.folder ?? configuration.patterns?.texts.joined(separator: " ") ?? ""
    delivery = Delivery(progress, now: configuration.environment?.now ?? SystemClock.now)
    set(configuration.notifications) { StateReport([], refusals: [], isStopping: false) }
  }

  /// When something is due.
  var deadline: Deadline {
    channels.reduce(Deadline(monotonic: heartbeat?.deadline)) { $0.earlier($1.deadline) }
  }

  /// Uses another configuration from now on.
  func update(_ setup: NotificationSetup, _ coordinators: [DatabaseCoordinator]) {
    let removed = channels.filter { runner in !setup.channels.contains { $0.name.isExactly(runner.channel.name) } }
    for runner in removed {
      coordinators.forEach { $0.parts.alarms.record(channel: runner.channel.name, nil) }
      runner.release()
    }
    set(setup) { [shared] in StateReport(coordinators, refusals: shared.refusals, isStopping: false) }
    recordHeartbeat(in: coordinators)
    // The new ones learn of the alarms that last.
    seen = nil
  }

  private func set(_ setup: NotificationSetup, _ report: () -> StateReport) {
    guard let environment else { return }
    channels = setup.channels.map { channel in
      shared.messages.begin(channel.name)
      if let known = channels.first(where: { $0.channel.name.isExactly(channel.name) }) {
        known.update(channel, at: shared.clock.moment, report)
        return known
      }
      lastNumber += 1
      return ChannelRunner(
        ChannelID(number: lastNumber), channel, NotificationFile(of: channel, owner: owner, environment), delivery,
        environment, shared.inbox, at: shared.clock.moment, logger)
    }
    if let wanted = setup.heartbeat {
      heartbeat = heartbeat ?? HeartbeatRunner(wanted, delivery, environment, shared.inbox, logger)
      heartbeat?.heartbeat = wanted
    } else {
      heartbeat?.release()
      heartbeat = nil
    }
  }

  /// Passes changes of alarms on, and does the work that is due.
  func update(_ coordinators: [DatabaseCoordinator], isStopping: Bool) {
    guard !isStopping, !channels.isEmpty || heartbeat != nil else { return }
    let moment = shared.clock.moment
    let report = { [shared] in StateReport(coordinators, refusals: shared.refusals, isStopping: isStopping) }
    if let heartbeat {
      let open = coordinators.flatMap { $0.parts.alarms.open(of: $0.database.name) } + shared.refusals
      let hasAlarm = open.contains { $0.key != AlarmBook.heartbeatKey }
      heartbeat.update(
        Set(coordinators.flatMap(Self.scheduledWork)), hasAlarm: hasAlarm, at: moment.monotonic, report)
    }
    if seen != shared.alarmChanges {
      seen = shared.alarmChanges
      for runner in channels {
        runner.receive(.alarms(alarms(coordinators, for: runner.channel.name)), at: moment, report)
      }
    }
    for runner in channels where runner.deadline.isReached(at: moment) { runner.receive(.tick, at: moment, report) }
  }

  func finish(
    _ id: ChannelID, _ result: Result<MessageJob.Receipt, any Error>, _ coordinators: [DatabaseCoordinator]
  ) {
    guard let runner = channels.first(where: { $0.id == id }) else { return }
    runner.finish(result, at: shared.clock.moment) { [shared] in
      StateReport(coordinators, refusals: shared.refusals, isStopping: false)
    }
    shared.messages.record(runner.problem == nil ? .accepted : .failed, by: runner.channel.name)
    shared.metrics.recordChange(at: shared.clock.monotonic)
    coordinators.forEach { $0.parts.alarms.record(channel: runner.channel.name, runner.problem) }
  }

  /// A message was accepted, or not, when the agent had ended already. No other message follows.
  func record(_ id: ChannelID, _ result: Result<MessageJob.Receipt, any Error>) {
    channels.first { $0.id == id }?.record(result, at: shared.clock.moment)
  }

  /// A sign of life was accepted, or not.
  func finish(_ result: Result<[String]?, any Error>, _ coordinators: [DatabaseCoordinator]) {
    heartbeat?.finish(result, at: shared.clock.monotonic)
    recordHeartbeat(in: coordinators)
  }

  private func recordHeartbeat(in coordinators: [DatabaseCoordinator]) {
    coordinators.forEach { $0.parts.alarms.record(heartbeat: heartbeat?.problem) }
  }

  /// Ends the messages that are on their way.
  func stop() {
    progress.stop()
    channels.forEach { $0.join() }
    heartbeat?.join()
  }

  /// The drill and the scheduled backup that run now, as names that are unique in the agent.
  private static func scheduledWork(of coordinator: DatabaseCoordinator) -> [String] {
    let name = coordinator.database.name
    let isScheduled = coordinator.isBackingUp && coordinator.status.trigger.running?.trigger == .scheduled
    return (isScheduled ? ["full of \(name)"] : [])
      + (coordinator.parts.housekeeper.drills.isRunning ? ["drill of \(name)"] : [])
  }

  /// All alarms but the one about the channel itself.
  private func alarms(_ coordinators: [DatabaseCoordinator], for channel: String) -> [OpenAlarm] {
    let all = coordinators.flatMap { $0.parts.alarms.open(of: $0.database.name) } + shared.refusals
    return all.filter { $0.key != AlarmBook.key(ofChannel: channel) }
  }
}
