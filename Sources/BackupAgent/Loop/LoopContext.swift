import BackupPolicy

/// What the databases of an agent share. Belongs to the event loop's thread.
final class LoopContext {
  let clock: LoopClock
  let watches: FolderWatches
  let workers: WorkerPool
  let housekeeping: WorkerPool
  let inbox: Mailbox<LoopMessage>
  /// How the databases share the files that this process may have open.
  var descriptors: DescriptorBudget

  init(
    clock: LoopClock, watches: FolderWatches, workers: WorkerPool, housekeeping: WorkerPool,
    inbox: Mailbox<LoopMessage>,
    descriptors: DescriptorBudget
  ) {
    self.clock = clock
    self.watches = watches
    self.workers = workers
    self.housekeeping = housekeeping
    self.inbox = inbox
    self.descriptors = descriptors
  }

  private var kept: [ObjectIdentifier: WeakConnection] = [:]

  /// Whether the connection of a database may stay open after the job that is about to run.
  func mayKeepAnother(_ connection: HeldConnection) -> Bool {
    guard descriptors.connections < descriptors.databases else { return true }
    kept = kept.filter { $0.value.connection?.isOpen == true }
    guard kept[ObjectIdentifier(connection)] != nil || kept.count < descriptors.connections else { return false }
    kept[ObjectIdentifier(connection)] = WeakConnection(connection: connection)
    return true
  }

  func pool(_ kind: WorkerPool.Kind) -> WorkerPool { kind == .backups ? workers : housekeeping }

  /// Lets the jobs that run end, and the threads with them.
  func stopWorkers() {
    workers.stop()
    housekeeping.stop()
  }
}

/// A connection that may have been closed, or be gone, since it was noted.
private struct WeakConnection {
  weak var connection: HeldConnection?
}
