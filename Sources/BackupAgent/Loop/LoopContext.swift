import BackupEngine
import BackupPolicy
import Logging
import ObjectStorage
import Replication
import Transfer

/// The resources that the databases of an agent share. Belongs to the event loop's thread.
final class LoopContext {
  let clock: LoopClock
  let watches: FolderWatches
  let workers: WorkerPool
  let housekeeping: WorkerPool
  let inbox: Mailbox<LoopMessage>
  /// The clients that follow.
  let feed: EventFeed
  /// The file of metrics.
  let metrics = MetricsWriter()
  /// The socket for commands, which the lock of each repository names; nil if there is none.
  var socketPath: String?
  /// How often an alarm has begun or ended, or a database with its alarms was added or dropped.
  var alarmChanges = 0
  /// The alarms about databases that match a pattern and are not backed up. No database has them.
  private(set) var refusals: [OpenAlarm] = []
  /// The messages by each channel.
  var messages = MessageCounts()
  /// How the databases share the files that this process may have open.
  var descriptors: DescriptorBudget
  /// Copy backups to targets.
  let targetThreads: TargetThreads
  /// Performs the requests of all targets without a limit of bandwidth.
  private let transfers = TransferLoop()
  /// The loops of targets with a limit of their own.
  private var limited: [WeakTransferLoop] = []
  private let stores: StoreOpening?

  init(
    clock: LoopClock, watches: FolderWatches, workers: WorkerPool, housekeeping: WorkerPool,
    inbox: Mailbox<LoopMessage>, descriptors: DescriptorBudget, stores: StoreOpening?
  ) {
    self.stores = stores
    self.clock = clock
    feed = EventFeed(clock)
    self.watches = watches
    self.workers = workers
    self.housekeeping = housekeeping
    self.inbox = inbox
    self.descriptors = descriptors
    targetThreads = TargetThreads(limit: descriptors.targetRuns)
  }

  /// A search for matches of the patterns has found these problems, and no others last.
  func recordRefusals(_ problems: [String]) {
    guard problems != refusals.map(\.message) else { return }
    let known = refusals
    refusals = problems.map { problem in
      known.first { $0.message == problem }
        ?? OpenAlarm(
          OpenAlarm.Key(database: nil, kind: "not_backed_up", subject: problem), since: clock.now, message: problem,
          hint: "holdfast config check shows what is in the way")
    }
    alarmChanges += 1
    metrics.recordChange(at: clock.monotonic)
  }

  private var kept: [ObjectIdentifier: WeakConnection] = [:]

  /// Whether the connection of a database may stay open after the job that is about to run.
  func mayKeepAnother(_ connection: KeptConnection) -> Bool {
    guard descriptors.isScarce else { return true }
    kept = kept.filter { $0.value.connection?.isOpen == true }
    guard kept[ObjectIdentifier(connection)] != nil || kept.count < descriptors.connections else { return false }
    kept[ObjectIdentifier(connection)] = WeakConnection(connection: connection)
    return true
  }

  func pool(_ kind: WorkerPool.Kind) -> WorkerPool { kind == .backups ? workers : housekeeping }

  /// Opens the store of a target. No request is sent.
  ///
  /// - Parameter meter: counts its requests.
  func openStore(_ target: Target, _ meter: TrafficMeter) -> any ObjectStore {
    if let stores { return stores(target) }
    var connection = target.connection
    connection.uploads.attempted = { meter.record($0) }
    guard connection.limits != TransferLimits() else { return connection.open(target.url, on: transfers) }
    let loop = TransferLoop(limits: connection.limits)
    limited = limited.filter { $0.loop != nil } + [WeakTransferLoop(loop: loop)]
    return connection.open(target.url, on: loop)
  }

  /// Cancels all requests of targets; later ones fail.
  func stopTransfers() {
    transfers.stop()
    for transfers in limited { transfers.loop?.stop() }
  }

  /// Waits for the running jobs and ends the threads.
  func stopWorkers() {
    stopTransfers()
    targetThreads.close()
    workers.stop()
    housekeeping.stop()
    metrics.join()
  }
}

/// A loop that ends with the store of its target.
private struct WeakTransferLoop {
  weak var loop: TransferLoop?
}

/// Opens the store of a target.
typealias StoreOpening = @Sendable (Target) -> any ObjectStore

/// A connection that may have been closed or released since it was recorded.
private struct WeakConnection {
  weak var connection: KeptConnection?
}

/// Messages from other threads to the event loop.
indirect enum LoopMessage: Sendable {
  /// A worker is free again; contains the result of its job.
  case done(worker: Int, of: WorkerPool.Kind, LoopMessage)
  case finished(DatabaseID, JobResult)
  case keptHouse(DatabaseID, HousekeepingResult)
  case drilled(DatabaseID, DrillResult)
  /// A run for a target has ended.
  case shipped(TargetID, ShippingReport)
  /// A check of the folder of a target has ended.
  case folderChecked(TargetID, Bool)
  case targetEnded(TargetID)
  /// The reason to doubt the clock; nil if it is believed.
  case clockChecked(DatabaseID, Result<HoldfastError?, any Error>)
  /// The problem with the key; nil if there is no problem.
  case keyChecked(DatabaseID, HoldfastError?)
  /// A backup begins to read the database, or has read all of it.
  case reading(DatabaseID, began: Bool)
  /// A person requests a backup of every database, or of the one with this name.
  case backUp(String?)
  /// Read the configuration again.
  case reload
  case reloaded(Result<AgentConfiguration, any Error>)
  /// The result of a search for new matches of the patterns.
  case patternsSeen(PatternScan)
  case status(CheckedContinuation<[DatabaseStatus], Never>)
  /// A command asks for something.
  case request(ControlRequest, ControlReply)
  /// The client of a reply has ended.
  case replyEnded(Int)
  case journalSaved
  /// The file of metrics was written, or not.
  case metricsWritten(HoldfastError?)
  /// A message by a channel was accepted, or not.
  case notified(ChannelID, Result<MessageJob.Receipt, any Error>)
  /// A sign of life was sent, or a failure with its reasons; or the sending failed.
  case pulsed(Result<[String]?, any Error>)
  /// The wall clock was set.
  case clockSet
  /// Finish the running work, then stop.
  case shutdown
  /// Abandon the running work, and stop.
  case cancel
}

/// Identifies a database in messages and tables for as long as the agent lives; never reused.
struct DatabaseID: Hashable, Sendable {
  var number: Int
}

extension DescriptorBudget {
  /// Raises this process's limit of open files as far as needed and permitted, and divides the
  /// resulting number.
  static func allocate(for databases: [AgentDatabase], workers: Int) -> DescriptorBudget {
    let (count, targets) = (databases.count, databases.reduce(0) { $0 + $1.targets.count })
    let limit = OpenFileLimit.raise(to: wanted(databases: count, targets: targets, workers: workers))
    return DescriptorBudget(limit: limit, databases: count, targets: targets, workers: workers)
  }

  func logConcession(_ logger: Logger) {
    guard let concession else { return }
    logger.warning(
      "\(concession) (hint: raise the hard limit: ulimit -Hn, or LimitNOFILE= in the systemd unit)")
  }
}

extension Logger {
  /// The same logger for the lines about one database.
  ///
  /// - Parameter isAlone: there is only one database, so messages need not name it.
  func about(_ database: String, isAlone: Bool) -> Logger {
    let base = isAlone ? handler : PrefixingHandler(base: handler, prefix: "\(database): ")
    var logger = Logger(label: label) { _ in base }
    logger[metadataKey: "database"] = "\(database)"
    return logger
  }
}

/// Adds the database's name to each line if there are several databases.
private struct PrefixingHandler: LogHandler {
  var base: any LogHandler
  let prefix: String

  var metadata: Logger.Metadata {
    get { base.metadata }
    set { base.metadata = newValue }
  }

  var logLevel: Logger.Level {
    get { base.logLevel }
    set { base.logLevel = newValue }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { base[metadataKey: key] }
    set { base[metadataKey: key] = newValue }
  }

  func log(event: LogEvent) {
    var event = event
    event.message = "\(prefix)\(event.message)"
    base.log(event: event)
  }
}
