/// What the databases of an agent share. Belongs to the event loop's thread.
final class LoopContext {
  let clock: LoopClock
  let watches: FolderWatches
  let workers: WorkerPool
  let housekeeping: WorkerPool
  let inbox: Mailbox<LoopMessage>

  init(
    clock: LoopClock, watches: FolderWatches, workers: WorkerPool, housekeeping: WorkerPool, inbox: Mailbox<LoopMessage>
  ) {
    self.clock = clock
    self.watches = watches
    self.workers = workers
    self.housekeeping = housekeeping
    self.inbox = inbox
  }

  func pool(_ kind: WorkerPool.Kind) -> WorkerPool { kind == .backups ? workers : housekeeping }

  /// Lets the jobs that run end, and the threads with them.
  func stopWorkers() {
    workers.stop()
    housekeeping.stop()
  }
}
