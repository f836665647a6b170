import BackupEngine
import BackupPolicy
import Glibc

/// The watches of all databases on one inotify instance: one watch for each folder, for all
/// databases and purposes. Belongs to one thread.
final class FolderWatches {
  typealias Subscription = WatchPlan.Subscription

  /// A watched folder. One inode can have several paths (bind mounts), which then share one watch
  /// number.
  struct Watch {
    var paths: Set<ExactName>
    var mask: UInt32
  }

  private let calls: InotifyCalls
  private var inotify: Inotify?
  private(set) var watches: [Int32: Watch] = [:]
  private(set) var numbers: [ExactName: Int32] = [:]
  private var plans: [DatabaseID: WatchPlan] = [:]
  /// Databases with reduced event masks; see ``subscribe(_:of:)``.
  private var subscriptions: [DatabaseID: Subscription] = [:]
  /// Watches of files that a backup reads, by their numbers.
  private var closing: [Int32: Set<DatabaseID>] = [:]

  init(_ calls: InotifyCalls) {
    self.calls = calls
  }

  /// The descriptor for `poll`, which ignores -1.
  var descriptor: Int32 { inotify?.descriptor ?? -1 }

  /// Whether changes of the database are detected when they happen.
  func isWatching(_ id: DatabaseID) -> Bool {
    plans[id].map { $0.folders[$0.folder]?.files == true && numbers[$0.folder] != nil } ?? false
  }

  /// Watches the folders that a database needs now; nil: no folder any more. Existing watches are
  /// requested again, so that if a folder was replaced undetected, its watch moves to the new one.
  ///
  /// - Throws: if the database's own folder, or the nearest existing one above it, cannot be
  ///   watched. The others are still watched.
  func apply(_ plan: WatchPlan?, to id: DatabaseID) throws {
    let old = plans[id]
    plans[id] = plan
    if plan == nil { subscriptions[id] = nil }
    for folder in (old?.folders ?? [:]).keys where plan?.folders[folder] == nil { release(folder) }
    guard let plan else { return }
    var failure: (any Error)?
    for (folder, interest) in plan.folders {
      do {
        try watch(folder)
      } catch  where interest.files {
        failure = error
      } catch {
        // An unreadable folder above the database raises no alarm: the slow poll detects if the
        // path leads elsewhere.
      }
    }
    if let failure { throw failure }
  }

  /// Sets the events that a database's folder raises. Events slow down each of a writer's calls,
  /// even if no process reads them: by up to a tenth of its commits.
  ///
  /// All events stay on if another database in that folder needs them.
  ///
  /// - Throws: if the folder cannot be watched; then it raises no events.
  func subscribe(_ what: Subscription, of id: DatabaseID) throws {
    guard let plan = plans[id], subscriptions[id, default: .all] != what else { return }
    subscriptions[id] = what
    do {
      try watch(plan.folder)
    } catch {
      subscriptions[id] = nil
      throw error
    }
  }

  private func mask(_ folder: ExactName) -> UInt32 {
    plans.reduce(0) { mask, plan in
      mask | (plan.value.folders[folder]?.mask(subscriptions[plan.key, default: .all]) ?? 0)
    }
  }

  private func watch(_ folder: ExactName) throws {
    let inotify = try opened()
    let mask = mask(folder)
    let number: Int32
    do {
      number = try inotify.add(folder.description, mask)
    } catch {
      forget(folder)
      throw error
    }
    if numbers[folder] != number { forget(folder) }
    numbers[folder] = number
    var watch = watches[number] ?? Watch(paths: [], mask: 0)
    watch.paths.insert(folder)
    watch.mask = watch.paths.reduce(0) { $0 | self.mask($1) }
    // The call replaced the mask that was set through another path to the same folder.
    if watch.mask != mask { _ = try inotify.add(folder.description, watch.mask) }
    watches[number] = watch
  }

  /// A database no longer needs this folder.
  private func release(_ folder: ExactName) {
    guard numbers[folder] != nil else { return }
    if mask(folder) == 0 { return forget(folder) }
    try? watch(folder)
  }

  private func forget(_ folder: ExactName) {
    guard let number = numbers.removeValue(forKey: folder) else { return }
    watches[number]?.paths.remove(folder)
    guard watches[number]?.paths.isEmpty ?? false else { return }
    watches[number] = nil
    inotify?.remove(number)
  }

  private func opened() throws -> Inotify {
    if let inotify { return inotify }
    let opened = try Inotify(calls)
    inotify = opened
    return opened
  }
}

extension FolderWatches {
  /// Returns the events since the last call: for each database, each kind once.
  func drain() -> [DatabaseID: Set<ChangeEvent>] {
    var events: [DatabaseID: Set<ChangeEvent>] = [:]
    inotify?.drain { number, mask, name in
      if number < 0 {
        // The queue has overflowed, so the lost events may concern any database.
        if mask & UInt32(IN_Q_OVERFLOW) != 0 { plans.keys.forEach { events[$0, default: []].insert(.overflow) } }
      } else if let readers = closing[number] {
        handle(closeOf: number, mask, readers, into: &events)
      } else if let watch = watches[number] {
        if ChangeEvent.isLoss(mask) {
          lose(number, watch, into: &events)
        } else {
          handle(mask, name, in: watch, into: &events)
        }
      }
    }
    return events
  }

  private func handle(
    _ mask: UInt32, _ name: UnsafeRawBufferPointer, in watch: Watch, into events: inout [DatabaseID: Set<ChangeEvent>]
  ) {
    for (id, plan) in plans {
      for path in watch.paths {
        guard let interest = plan.folders[path] else { continue }
        if interest.files, let role = plan.role(of: name), let event = ChangeEvent(mask, of: role) {
          events[id, default: []].insert(event)
        }
        if mask & UInt32(IN_MODIFY) == 0, interest.concerns(name) {
          events[id, default: []].insert(.pathChanged)
        }
      }
    }
  }

  /// A folder was moved, removed or unmounted. The watch is removed because it would follow a moved
  /// folder to its new place.
  private func lose(_ number: Int32, _ watch: Watch, into events: inout [DatabaseID: Set<ChangeEvent>]) {
    for path in watch.paths {
      for (id, plan) in plans {
        guard let interest = plan.folders[path] else { continue }
        events[id, default: []].insert(interest.files ? .folderLost : .pathChanged)
      }
      forget(path)
    }
  }
}

extension FolderWatches {
  /// Reports when a process closes one of these files, until ``stopClosing(_:)``. Earlier closes
  /// are not reported.
  ///
  /// The files are watched instead of their folder because every reader raises close events, and
  /// only readers of the database during a backup matter.
  ///
  /// - Throws: if one of the files is missing.
  func startClosing(_ paths: [String], for id: DatabaseID) throws {
    for path in paths {
      let number = try opened().add(path, UInt32(IN_CLOSE_WRITE | IN_CLOSE_NOWRITE))
      closing[number, default: []].insert(id)
    }
  }

  func stopClosing(_ id: DatabaseID) {
    for (number, readers) in closing where readers.contains(id) {
      closing[number] = readers.count == 1 ? nil : readers.subtracting([id])
      if readers.count == 1 { inotify?.remove(number) }
    }
  }

  private func handle(
    closeOf number: Int32, _ mask: UInt32, _ readers: Set<DatabaseID>, into events: inout [DatabaseID: Set<ChangeEvent>]
  ) {
    // The file is gone, and its watch with it.
    if mask & UInt32(IN_IGNORED) != 0 { return closing[number] = nil }
    readers.forEach { events[$0, default: []].insert(.closed) }
  }
}

/// The meaning of a file-system event for a database, if it has one.
enum ChangeEvent: Hashable, Sendable {
  /// Possibly a commit: SQLite wrote to the database or its WAL, ended a rollback journal, or
  /// another file was moved to the path.
  case changed
  /// The database was removed or moved away.
  case removed
  /// The kernel dropped events, so anything may have happened.
  case overflow
  /// The folder was removed, moved or unmounted, so there are no more events.
  case folderLost
  /// The path may lead elsewhere: a link or a folder above has changed.
  case pathChanged
  /// A process closed the database or its WAL.
  case closed

  /// The file that an event is about.
  enum Role: Sendable {
    case database
    case wal
    case journal
  }

  /// A watched folder is gone from its path.
  static func isLoss(_ mask: UInt32) -> Bool {
    mask & UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED) != 0
  }

  /// Reads one event of the database's folder.
  ///
  /// An application's commit is a MODIFY of the database or the WAL, or the end of a rollback
  /// journal (DELETE, or MODIFY if the journal is truncated or zeroed). Events of `-shm`, the
  /// creation and removal of `-wal` and the creation of `-journal` do not count: opening a database
  /// is enough to cause them.
  init?(_ mask: UInt32, of role: Role) {
    func has(_ bits: Int32) -> Bool { mask & UInt32(bits) != 0 }
    switch role {
    case .database where has(IN_MODIFY | IN_CREATE | IN_MOVED_TO): self = .changed
    case .database where has(IN_DELETE | IN_MOVED_FROM): self = .removed
    case .wal where has(IN_MODIFY): self = .changed
    case .journal where has(IN_MODIFY | IN_DELETE): self = .changed
    default: return nil
    }
  }
}
