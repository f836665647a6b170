import BackupEngine
import BackupPolicy
import CShims
import Glibc
import Synchronization

/// A thread of the agent. Blocking work never runs on Swift's cooperative pool.
struct AgentThread: Sendable {
  private let thread: pthread_t

  /// - Parameter name: at most 15 bytes, as shown by `ps -L`.
  init(_ name: String, _ body: @escaping @Sendable () -> Void) throws {
    thread = try Workers.start("the thread \(name)") {
      cshims_name_thread(name)
      body()
    }
  }

  /// Waits for the thread's end; to be called once.
  func join() {
    pthread_join(thread, nil)
  }

  /// Frees the thread's memory when it ends; instead of ``join()``.
  func detach() {
    pthread_detach(thread)
  }
}

/// The threads for the engine's blocking work: started when first needed, parked while there is no
/// work. Belongs to the event loop's thread; the jobs run on others.
final class WorkerPool {
  /// The returned message is posted to the loop.
  typealias Job = @Sendable () -> LoopMessage

  private struct Worker {
    var orders: Mailbox<Order>
    var thread: AgentThread
  }

  private enum Order: Sendable {
    case run(Job)
    case quit
  }

  /// The use of the threads.
  enum Kind: Sendable {
    case backups
    /// Work that may take minutes and is not urgent: no backup may have to wait for its thread.
    case housekeeping
  }

  /// More threads would only compete for the disk and the processors: a full backup already uses a
  /// compressor on each core.
  static var backupLimit: Int { ThreadSupply.backups }
  /// The number of threads, and so of jobs that run at the same time.
  private var limit: Int

  private let kind: Kind
  private let inbox: Mailbox<LoopMessage>
  private var workers: [Worker] = []
  private var idle: [Int] = []
  private var waiting: [(id: DatabaseID?, job: Job)] = []

  /// - Throws: if not even one thread can be started for backups. Housekeeping can wait.
  init(_ kind: Kind, limit: Int, _ inbox: Mailbox<LoopMessage>) throws {
    self.kind = kind
    self.limit = limit
    self.inbox = inbox
    if kind == .backups { try hire() }
  }

  /// Runs a job as soon as a thread is free.
  ///
  /// - Parameter id: for ``withdraw(_:)``.
  func submit(_ id: DatabaseID?, _ job: @escaping Job) {
    // If there is no memory for another thread, the job waits for an existing one.
    if idle.isEmpty, workers.count < limit { try? hire() }
    waiting.append((id, job))
    while let worker = idle.popLast() {
      guard !waiting.isEmpty else { return idle.append(worker) }
      workers[worker].orders.post(.run(waiting.removeFirst().job))
    }
  }

  /// Permits more threads. Those that exist remain.
  func raise(to count: Int) { limit = max(limit, count) }

  /// Withdraws a job that no thread has begun; returns whether there was one.
  func withdraw(_ id: DatabaseID) -> Bool {
    let count = waiting.count
    waiting.removeAll { $0.id == id }
    return waiting.count < count
  }

  /// A worker has posted the result of its job.
  func release(_ worker: Int) {
    guard !waiting.isEmpty else { return idle.append(worker) }
    workers[worker].orders.post(.run(waiting.removeFirst().job))
  }

  /// Waits for the running jobs and ends the threads.
  func stop() {
    waiting = []
    workers.forEach { $0.orders.post(.quit) }
    workers.forEach { $0.thread.join() }
    workers = []
  }

  private func hire() throws {
    let orders = try Mailbox<Order>(blocking: true)
    let number = workers.count
    let thread = try AgentThread(kind == .backups ? "holdfast-work-\(number)" : "holdfast-keep") { [inbox, kind] in
      while case .run(let job) = orders.next() { inbox.post(.done(worker: number, of: kind, job())) }
    }
    workers.append(Worker(orders: orders, thread: thread))
    idle.append(number)
  }
}

/// Runs the asynchronous code of a process on one thread that sleeps while there is no job. The
/// agent has little asynchronous code.
///
/// Swift's own pool is Dispatch's, and Dispatch on Linux counts the pool's threads once a second
/// for as long as the process lives: an idle agent would wake up 86,400 times a day for it.
package final class ThreadExecutor: TaskExecutor {
  private let jobs: Mailbox<UnownedJob>

  /// The thread lives as long as the process.
  ///
  /// - Throws: if the system has no thread or descriptor left.
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

/// Messages to a thread, in order.
final class Mailbox<Message: Sendable>: Sendable {
  let wakeUp: WakeUp
  private let messages = Mutex<[Message]>([])

  /// - Parameter blocking: whether the receiver sleeps in ``next()``; otherwise it polls
  ///   ``wakeUp``.
  init(blocking: Bool) throws {
    wakeUp = try WakeUp(blocking: blocking)
  }

  func post(_ message: Message) {
    messages.withLock { $0.append(message) }
    wakeUp.signal()
  }

  /// Returns all messages that have arrived, without waiting.
  func removeAll() -> [Message] {
    messages.withLock { messages in
      defer { messages.removeAll() }
      return messages
    }
  }

  /// Returns the next message. If there is no message, the thread sleeps until one arrives.
  func next() -> Message {
    while true {
      let message = messages.withLock { $0.isEmpty ? nil : $0.removeFirst() }
      if let message { return message }
      wakeUp.consume()
    }
  }
}

/// An eventfd: one thread sleeps on it, any other thread wakes it. A signal is not lost if no
/// thread is waiting.
final class WakeUp: Sendable {
  /// The descriptor for `poll`; stays open for as long as this object lives.
  let descriptor: Int32

  /// - Parameter blocking: whether ``consume()`` sleeps until there is a signal.
  init(blocking: Bool) throws {
    descriptor = cshims_eventfd(blocking ? 0 : 1)
    guard descriptor >= 0 else { throw HoldfastError(errno: errno, "create", "an eventfd") }
  }

  deinit { close(descriptor) }

  func signal() {
    var one: UInt64 = 1
    // Fails only if 2⁶⁴ signals are waiting, and then the sleeping thread wakes anyway.
    while write(descriptor, &one, 8) < 0, errno == EINTR {}
  }

  /// Consumes all signals.
  func consume() {
    var count: UInt64 = 0
    while read(descriptor, &count, 8) < 0, errno == EINTR {}
  }
}
