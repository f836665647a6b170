import BackupEngine
import BackupPolicy
import Replication

/// Identifies a target of a database in messages; never reused.
struct TargetID: Hashable, Sendable {
  var database: DatabaseID
  var number: Int
}

/// The threads that copy backups to the targets of all databases.
///
/// Each target has at most one order at work. As long as there are no more targets than threads, a
/// store that does not answer delays no other target; with more, they take turns. Without orders the
/// threads sleep in a condition, without a timeout: the event loop has the timers.
final class TargetThreads: Sendable {
  private let monitor = Monitor()
  // Guarded by `monitor`.
  private nonisolated(unsafe) var ready: [TargetLane] = []
  private nonisolated(unsafe) var limit: Int
  private nonisolated(unsafe) var threads = 0
  private nonisolated(unsafe) var idle = 0
  private nonisolated(unsafe) var isClosed = false

  /// - Parameter limit: threads that are started as they are needed.
  init(limit: Int) { self.limit = max(1, limit) }

  /// Permits more threads. Those that exist remain.
  func raise(to count: Int) { monitor.locked { limit = max(limit, count) } }

  /// Lets the threads end that have no order. One in a call that does not end is not waited for.
  func close() {
    monitor.locked {
      isClosed = true
      monitor.wakeAll()
    }
  }

  /// - Throws: if the system has not even one thread. The order is withdrawn then.
  fileprivate func submit(_ order: TargetLane.Order, of lane: TargetLane) throws {
    let needsThread = monitor.locked {
      lane.orders.append(order)
      if !lane.isScheduled { ready.append(lane) }
      lane.isScheduled = true
      monitor.wakeAll()
      guard idle < ready.count, threads < limit else { return false }
      threads += 1
      return true
    }
    guard needsThread else { return }
    do {
      try AgentThread("holdfast-target") { [self] in serve() }.detach()
    } catch {
      try monitor.locked {
        threads -= 1
        // Another thread will do it.
        guard threads == 0 else { return }
        ready.removeAll { $0 === lane }
        (lane.orders, lane.isScheduled) = ([], false)
        throw error
      }
    }
  }

  private func serve() {
    while let (lane, order) = next() {
      lane.perform(order)
      monitor.locked {
        lane.isScheduled = !lane.orders.isEmpty
        if lane.isScheduled { ready.append(lane) }
      }
    }
  }

  private func next() -> (TargetLane, TargetLane.Order)? {
    monitor.locked {
      idle += 1
      defer { idle -= 1 }
      while ready.isEmpty {
        guard !isClosed else {
          threads -= 1
          return nil
        }
        monitor.wait()
      }
      let lane = ready.removeFirst()
      return (lane, lane.orders.removeFirst())
    }
  }
}

/// One run for a target.
struct TargetOrder: Sendable {
  /// The newest backup is sent although the interval of the target is not over.
  var atOnce = false
  /// The target is listed first.
  var lists = false
  /// As `Replicator.run` takes it.
  var stored: [PointMetadata]?
  /// The lock of the target's memo, which is a descriptor, is kept afterwards.
  var keepsLock = false
}

/// The orders for one target, which the threads perform one after the other.
final class TargetLane: Sendable {
  fileprivate enum Order: Sendable {
    case run(TargetOrder, Progress)
    case checkFolders([String], any FileOperations)
    case end
  }

  // Guarded by the monitor of the threads.
  fileprivate nonisolated(unsafe) var orders: [Order] = []
  fileprivate nonisolated(unsafe) var isScheduled = false
  /// Used by the thread that performs an order; no other one does then.
  private nonisolated(unsafe) var work: TargetWork?
  private let makeWork: @Sendable () -> TargetWork
  private let id: TargetID
  private let threads: TargetThreads
  private let inbox: Mailbox<LoopMessage>

  /// - Parameters:
  ///   - inbox: gets `.shipped` after each run, `.folderChecked` after each check of a folder, and `.targetEnded` at
  ///     the end.
  ///   - work: called on a thread.
  init(
    _ id: TargetID, _ threads: TargetThreads, _ inbox: Mailbox<LoopMessage>,
    _ work: @escaping @Sendable () -> TargetWork
  ) {
    (self.id, self.threads, self.inbox, makeWork) = (id, threads, inbox, work)
  }

  /// Sends what is missing, after the orders before.
  ///
  /// - Throws: if the system has no thread left.
  func run(_ order: TargetOrder, _ progress: Progress) throws { try threads.submit(.run(order, progress), of: self) }

  /// Checks whether one of the folders is there. A folder on a network may block.
  func checkFolders(_ folders: [String], _ files: any FileOperations) {
    // The end of the pause leads to the next run anyway.
    try? threads.submit(.checkFolders(folders, files), of: self)
  }

  /// Ends after the orders before. The memo of the target is released then.
  func end() throws { try threads.submit(.end, of: self) }

  fileprivate func perform(_ order: Order) {
    switch order {
    case .run(let order, let progress):
      let work = work ?? makeWork()
      self.work = work
      inbox.post(.shipped(id, work.run(order, progress)))
    case .checkFolders(let folders, let files):
      inbox.post(.folderChecked(id, folders.contains { (try? files.status($0))??.kind == .folder }))
    case .end:
      work = nil
      inbox.post(.targetEnded(id))
    }
  }
}
