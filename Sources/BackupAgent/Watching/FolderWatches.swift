import BackupEngine
import BackupPolicy
import Glibc

/// The watches of all databases on one inotify instance: one a folder, whoever needs it and for whatever. Belongs to one
/// thread.
final class FolderWatches {
  typealias Hearing = WatchPlan.Hearing

  /// A folder that is watched. One inode can have several paths (bind mounts), and then one number for them.
  struct Watch {
    var paths: Set<ExactName>
    var mask: UInt32
  }

  private let calls: InotifyCalls
  private var inotify: Inotify?
  private(set) var watches: [Int32: Watch] = [:]
  private(set) var numbers: [ExactName: Int32] = [:]
  private var plans: [DatabaseID: WatchPlan] = [:]
  /// Databases of which less than everything is told; see ``hear(_:of:)``.
  private var hearing: [DatabaseID: Hearing] = [:]
  /// Watches of files that a backup reads, by their numbers.
  private var closing: [Int32: Set<DatabaseID>] = [:]

  init(_ calls: InotifyCalls) {
    self.calls = calls
  }

  /// For `poll`, which ignores -1.
  var descriptor: Int32 { inotify?.descriptor ?? -1 }

  /// Whether changes of the database are seen as they happen.
  func isWatching(_ id: DatabaseID) -> Bool {
    plans[id].map { $0.folders[$0.folder]?.files == true && numbers[$0.folder] != nil } ?? false
  }

  /// Watches what a database needs now; nil: nothing any more. Watches that stand are asked for again, so that one whose
  /// folder was replaced unseen moves to the new one.
  ///
  /// - Throws: where the database's own folder, or what stands for it, cannot be watched. The rest is watched all the same.
  func apply(_ plan: WatchPlan?, to id: DatabaseID) throws {
    let old = plans[id]
    plans[id] = plan
    if plan == nil { hearing[id] = nil }
    for folder in (old?.folders ?? [:]).keys where plan?.folders[folder] == nil { release(folder) }
    guard let plan else { return }
    var failure: (any Error)?
    for (folder, interest) in plan.folders {
      do {
        try watch(folder)
      } catch  where interest.files {
        failure = error
      } catch {
        // A folder above that may not be read is no reason for an alarm: the slow poll notices where it leads.
      }
    }
    if let failure { throw failure }
  }

  /// How much a database's folder tells. Each of a writer's calls costs it time where they raise events, even where nobody
  /// reads them: up to a tenth of its commits.
  ///
  /// All is told where another database of that folder needs it.
  ///
  /// - Throws: where the folder cannot be watched; then nothing of it is told.
  func hear(_ what: Hearing, of id: DatabaseID) throws {
    guard let plan = plans[id], hearing[id, default: .all] != what else { return }
    hearing[id] = what
    do {
      try watch(plan.folder)
    } catch {
      hearing[id] = nil
      throw error
    }
  }

  private func mask(_ folder: ExactName) -> UInt32 {
    plans.reduce(0) { mask, plan in
      mask | (plan.value.folders[folder]?.mask(hearing[plan.key, default: .all]) ?? 0)
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
    // The call replaced what another path to the same folder had asked for.
    if watch.mask != mask { _ = try inotify.add(folder.description, watch.mask) }
    watches[number] = watch
  }

  /// A database needs this folder no more.
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
  /// What has happened since the last call: for each database each kind once.
  func drain() -> [DatabaseID: Set<ChangeEvent>] {
    var events: [DatabaseID: Set<ChangeEvent>] = [:]
    inotify?.drain { number, mask, name in
      if number < 0 {
        // The queue was too short: nobody knows whom it concerned.
        if mask & UInt32(IN_Q_OVERFLOW) != 0 { plans.keys.forEach { events[$0, default: []].insert(.overflow) } }
      } else if let readers = closing[number] {
        take(closeOf: number, mask, readers, into: &events)
      } else if let watch = watches[number] {
        if ChangeEvent.isLoss(mask) {
          lose(number, watch, into: &events)
        } else {
          take(mask, name, in: watch, into: &events)
        }
      }
    }
    return events
  }

  private func take(
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

  /// A folder was moved, removed or unmounted. The watch goes: of a folder that was moved it would go on in its new place.
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
  /// Reports when somebody closes one of these files, until ``stopClosing(_:)``. What was closed before is not reported.
  ///
  /// The files are watched, not their folder: every reader closes, and only who reads a database beside a backup matters.
  ///
  /// - Throws: where one of them is missing.
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

  private func take(
    closeOf number: Int32, _ mask: UInt32, _ readers: Set<DatabaseID>, into events: inout [DatabaseID: Set<ChangeEvent>]
  ) {
    // The file is gone, and its watch with it.
    if mask & UInt32(IN_IGNORED) != 0 { return closing[number] = nil }
    readers.forEach { events[$0, default: []].insert(.closed) }
  }
}

/// What a file-system event means for a database, if anything.
enum ChangeEvent: Hashable, Sendable {
  /// Perhaps a commit: SQLite wrote to the database or its WAL, ended a rollback journal, or another file has come.
  case changed
  /// The database was removed or moved away.
  case removed
  /// The kernel dropped events: anything may have happened.
  case overflow
  /// The folder was removed, moved or unmounted: nothing is seen any more.
  case folderLost
  /// The path may lead elsewhere: a link, or a folder above, is not what it was.
  case pathChanged
  /// Somebody closed the database or its WAL.
  case closed

  /// Which file an event is about.
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
  /// An application's commit is a MODIFY of the database or the WAL, or the end of a rollback journal (DELETE, or MODIFY
  /// where it is truncated or zeroed). `-shm`, the coming and going of `-wal` and the coming of `-journal` say nothing:
  /// opening a database is enough for them.
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
