/// What the databases of an agent share. Belongs to the event loop's thread.
final class LoopContext {
  let clock: LoopClock
  let watches: FolderWatches
  let workers: WorkerPool
  let inbox: Mailbox<LoopMessage>

  init(clock: LoopClock, watches: FolderWatches, workers: WorkerPool, inbox: Mailbox<LoopMessage>) {
    self.clock = clock
    self.watches = watches
    self.workers = workers
    self.inbox = inbox
  }
}
