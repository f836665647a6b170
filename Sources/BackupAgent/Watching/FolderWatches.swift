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

  let calls: InotifyCalls
  var inotify: Inotify?
  var watches: [Int32: Watch] = [:]
  var numbers: [ExactName: Int32] = [:]
  var plans: [GuardID: WatchPlan] = [:]
  /// Databases of which less than everything is told; see ``hear(_:of:)``.
  private var hearing: [GuardID: Hearing] = [:]
  /// Watches of files that a backup reads, by their numbers.
  var closing: [Int32: Set<GuardID>] = [:]

  init(_ calls: InotifyCalls) {
    self.calls = calls
  }

  /// For `poll`, which ignores -1.
  var descriptor: Int32 { inotify?.descriptor ?? -1 }

  /// Whether changes of the database are seen as they happen.
  func isWatching(_ id: GuardID) -> Bool {
    plans[id].map { $0.folders[$0.folder]?.files == true && numbers[$0.folder] != nil } ?? false
  }

  /// Watches what a database needs now; nil: nothing any more. Watches that stand are asked for again, so that one whose
  /// folder was replaced unseen moves to the new one.
  ///
  /// - Throws: where the database's own folder, or what stands for it, cannot be watched. The rest is watched all the same.
  func apply(_ plan: WatchPlan?, to id: GuardID) throws {
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
  func hear(_ what: Hearing, of id: GuardID) throws {
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

  func forget(_ folder: ExactName) {
    guard let number = numbers.removeValue(forKey: folder) else { return }
    watches[number]?.paths.remove(folder)
    guard watches[number]?.paths.isEmpty ?? false else { return }
    watches[number] = nil
    inotify?.remove(number)
  }

  func opened() throws -> Inotify {
    if let inotify { return inotify }
    let opened = try Inotify(calls)
    inotify = opened
    return opened
  }
}
