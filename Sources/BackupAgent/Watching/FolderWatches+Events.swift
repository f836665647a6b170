import BackupEngine
import BackupPolicy
import Glibc

extension FolderWatches {
  /// What has happened since the last call: for each database each kind once.
  func drain() -> [GuardID: Set<ChangeEvent>] {
    var events: [GuardID: Set<ChangeEvent>] = [:]
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
    _ mask: UInt32, _ name: UnsafeRawBufferPointer, in watch: Watch, into events: inout [GuardID: Set<ChangeEvent>]
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
  private func lose(_ number: Int32, _ watch: Watch, into events: inout [GuardID: Set<ChangeEvent>]) {
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
  func startClosing(_ paths: [String], for id: GuardID) throws {
    for path in paths {
      let number = try opened().add(path, UInt32(IN_CLOSE_WRITE | IN_CLOSE_NOWRITE))
      closing[number, default: []].insert(id)
    }
  }

  func stopClosing(_ id: GuardID) {
    for (number, readers) in closing where readers.contains(id) {
      closing[number] = readers.count == 1 ? nil : readers.subtracting([id])
      if readers.count == 1 { inotify?.remove(number) }
    }
  }

  private func take(
    closeOf number: Int32, _ mask: UInt32, _ readers: Set<GuardID>, into events: inout [GuardID: Set<ChangeEvent>]
  ) {
    // The file is gone, and its watch with it.
    if mask & UInt32(IN_IGNORED) != 0 { return closing[number] = nil }
    readers.forEach { events[$0, default: []].insert(.closed) }
  }
}
