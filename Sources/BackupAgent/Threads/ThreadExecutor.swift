/// Runs the asynchronous code of a process, of which the agent has little, on one thread of its own that sleeps while there
/// is none.
///
/// Swift's own pool is Dispatch's, and Dispatch on Linux counts the pool's threads once a second for as long as the process
/// lives: an agent with nothing to do would wake up 86,400 times a day for it.
package final class ThreadExecutor: TaskExecutor {
  private let jobs: Mailbox<UnownedJob>

  /// The thread lives as long as the process.
  ///
  /// - Throws: where the system has no thread or descriptor left.
  package init() throws {
    jobs = try Mailbox(blocking: true)
    try AgentThread("holdfast-tasks") { [self] in
      while true { jobs.next().runSynchronously(on: asUnownedTaskExecutor()) }
    }.detach()
  }

  package func enqueue(_ job: consuming ExecutorJob) {
    jobs.post(UnownedJob(job))
  }
}
