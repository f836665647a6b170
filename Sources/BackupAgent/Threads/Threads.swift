import BackupEngine
import BackupPolicy
import CShims
import Glibc
import Synchronization

/// A thread of the agent's own: what blocks never runs on Swift's cooperative pool.
struct AgentThread: Sendable {
  private let thread: pthread_t

  /// - Parameter name: at most 15 bytes, as `ps -L` shows it.
  init(_ name: String, _ body: @escaping @Sendable () -> Void) throws {
    thread = try Workers.start("the thread \(name)") {
      cshims_name_thread(name)
      body()
    }
  }

  /// Waits for its end; to be called once.
  func join() {
    pthread_join(thread, nil)
  }

  /// Lets its memory go with its end; instead of ``join()``.
  func detach() {
    pthread_detach(thread)
  }
}

/// The threads that the engine's blocking work runs on: made when first needed, parked while there is none. Belongs to the
/// event loop's thread; the jobs run on others.
final class WorkerPool {
  /// What it returns is posted to the loop.
  typealias Job = @Sendable () -> LoopMessage

  private struct Worker {
    var orders: Mailbox<Order>
    var thread: AgentThread
  }

  private enum Order: Sendable {
    case run(Job)
    case quit
  }

  /// What the threads are for.
  enum Kind: Sendable {
    case backups
    /// Work that may take minutes and that nobody waits for: no backup may have to wait for its thread.
    case housekeeping
  }

  /// More would only take the disk and the processors from each other: a full backup borrows a compressor per core anyway.
  static var backupLimit: Int { ThreadSupply.backups }
  private var limit: Int { kind == .backups ? Self.backupLimit : 1 }

  private let kind: Kind
  private let inbox: Mailbox<LoopMessage>
  private var workers: [Worker] = []
  private var idle: [Int] = []
  private var waiting: [(id: DatabaseID?, job: Job)] = []

  /// - Throws: where not even one thread can be had for backups. Housekeeping can wait.
  init(_ kind: Kind, _ inbox: Mailbox<LoopMessage>) throws {
    self.kind = kind
    self.inbox = inbox
    if kind == .backups { try hire() }
  }

  /// Runs a job as soon as a thread is free.
  ///
  /// - Parameter id: for ``withdraw(_:)``.
  func submit(_ id: DatabaseID?, _ job: @escaping Job) {
    // Where there is no memory for another thread, the job waits for one of those there are.
    if idle.isEmpty, workers.count < limit { try? hire() }
    waiting.append((id, job))
    while let worker = idle.popLast() {
      guard !waiting.isEmpty else { return idle.append(worker) }
      workers[worker].orders.post(.run(waiting.removeFirst().job))
    }
  }

  /// Takes a job back that no thread has begun; whether there was one.
  func withdraw(_ id: DatabaseID) -> Bool {
    let count = waiting.count
    waiting.removeAll { $0.id == id }
    return waiting.count < count
  }

  /// A worker has posted what its job returned.
  func release(_ worker: Int) {
    guard !waiting.isEmpty else { return idle.append(worker) }
    workers[worker].orders.post(.run(waiting.removeFirst().job))
  }

  /// Lets the jobs that run end, and the threads with them.
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

/// Messages to a thread, in order.
final class Mailbox<Message: Sendable>: Sendable {
  let wakeUp: WakeUp
  private let messages = Mutex<[Message]>([])

  /// - Parameter blocking: whether the receiver sleeps in ``next()``; otherwise it polls ``wakeUp``.
  init(blocking: Bool) throws {
    wakeUp = try WakeUp(blocking: blocking)
  }

  func post(_ message: Message) {
    messages.withLock { $0.append(message) }
    wakeUp.signal()
  }

  /// Everything that has arrived, without waiting.
  func takeAll() -> [Message] {
    messages.withLock { messages in
      defer { messages.removeAll() }
      return messages
    }
  }

  /// The next message, for which the thread sleeps where there is none.
  func next() -> Message {
    while true {
      let message = messages.withLock { $0.isEmpty ? nil : $0.removeFirst() }
      if let message { return message }
      wakeUp.consume()
    }
  }
}

/// An eventfd: one thread sleeps on it, any other wakes it. Signals that nobody waited for yet are not lost.
final class WakeUp: Sendable {
  /// For `poll`; stays open for as long as this object lives.
  let descriptor: Int32

  /// - Parameter blocking: whether ``consume()`` sleeps until there is a signal.
  init(blocking: Bool) throws {
    descriptor = cshims_eventfd(blocking ? 0 : 1)
    guard descriptor >= 0 else { throw HoldfastError(errno: errno, "create", "an eventfd") }
  }

  deinit { close(descriptor) }

  func signal() {
    var one: UInt64 = 1
    // Fails only where 2⁶⁴ signals are waiting, and then the sleeper wakes anyway.
    while write(descriptor, &one, 8) < 0, errno == EINTR {}
  }

  /// Takes all signals.
  func consume() {
    var count: UInt64 = 0
    while read(descriptor, &count, 8) < 0, errno == EINTR {}
  }
}
