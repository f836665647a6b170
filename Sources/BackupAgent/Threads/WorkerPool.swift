import BackupEngine
import BackupPolicy
import Glibc

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
  static var backupLimit: Int { max(1, min(4, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
  private var limit: Int { kind == .backups ? Self.backupLimit : 1 }

  private let kind: Kind
  private let inbox: Mailbox<LoopMessage>
  private var workers: [Worker] = []
  private var idle: [Int] = []
  private var waiting: [(id: GuardID?, job: Job)] = []

  /// - Throws: where not even one thread can be had for backups. Housekeeping can wait.
  init(_ kind: Kind, _ inbox: Mailbox<LoopMessage>) throws {
    self.kind = kind
    self.inbox = inbox
    if kind == .backups { try hire() }
  }

  /// Runs a job as soon as a thread is free.
  ///
  /// - Parameter id: for ``withdraw(_:)``.
  func submit(_ id: GuardID?, _ job: @escaping Job) {
    // Where there is no memory for another thread, the job waits for one of those there are.
    if idle.isEmpty, workers.count < limit { try? hire() }
    waiting.append((id, job))
    while let worker = idle.popLast() {
      guard !waiting.isEmpty else { return idle.append(worker) }
      workers[worker].orders.post(.run(waiting.removeFirst().job))
    }
  }

  /// Takes a job back that no thread has begun; whether there was one.
  func withdraw(_ id: GuardID) -> Bool {
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
