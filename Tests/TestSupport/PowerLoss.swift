import BackupEngine
import BackupPolicy
import Glibc
import Synchronization

/// File operations below a folder that may lose power: afterwards the folder has the flushed
/// content, plus any part of the rest.
///
///     let loss = PowerLoss(root: folder.path)
///     let operations = StepFaults(wrapping: loss, failAt: step)   // or the loss itself, to crash after the work
///     try? work(operations)
///     try loss.crash(seed: seed)
///     // The folder is now as the machine finds it after the reboot: look at it with SystemFileOperations.
///
/// The model is POSIX's, stricter than any one file system: `sync` makes content durable but no
/// name; `syncFolder` makes that folder's names durable but no content, and not the folder's own
/// name. A rename is atomic: the old name or the new one. It is durable when the folder of its new
/// name was flushed. Unflushed names are otherwise independent of each other; unflushed writes may
/// survive, be lost, or be torn at sectors of 512 bytes. ``Survival`` chooses.
///
/// During a run every operation goes to the real files, except that flushes do nothing. Changes by
/// other programs below the root, above all by SQLite, stay: only an operation that went through
/// here can be lost. Files outside the root are never lost.
///
/// `@unchecked Sendable`: `journal` and `isOff` are accessed only while `mutex` is held. (A `Mutex`
/// that owns them would not accept closures with buffer pointers.)
package final class PowerLoss: FileOperations, @unchecked Sendable {
  private let base: any FileOperations
  private let mutex = Mutex(())
  private let journal: PowerLossJournal
  private var isOff = false

  /// - Parameters:
  ///   - root: an existing folder; its present content counts as durable.
  ///   - base: the operations that do the work.
  package init(root: String, wrapping base: any FileOperations = UnflushedFileOperations()) {
    self.base = base
    journal = PowerLossJournal(root: root)
  }

  /// Loses power and turns the real folder into the state after a reboot. Every operation throws
  /// ``Killed`` from here on.
  ///
  /// - Parameter seed: 0 to 4 are the extremes of ``Survival/init(seed:)``, others are random.
  package func crash(seed: UInt64) throws {
    try mutex.withLock { _ in
      guard !isOff else { throw Killed(description: "power is already off") }
      isOff = true
      var survival = Survival(seed: seed)
      try journal.losePower(&survival)
    }
  }

  /// Runs an operation and records it, in one order for all threads.
  private func recording<Result: Sendable>(_ body: () throws -> Result) throws -> Result {
    try mutex.withLock { _ in
      if isOff { throw Killed(description: "power is off") }
      return try body()
    }
  }

  private func checkPower() throws {
    try recording {}
  }
}

extension PowerLoss {
  package func open(_ path: String, _ mode: OpenMode) throws -> OpenFile {
    try recording {
      let isNew = try mode.creates && base.status(path) == nil
      let file = try base.open(path, mode)
      if isNew { try journal.created(path) }
      return file
    }
  }

  package func write(_ file: OpenFile, _ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    try recording {
      let inode = try journal.inodeToWrite(file)
      try base.write(file, bytes, at: offset)
      inode?.content?.writes.append(.init(offset: Int(offset), bytes: Bytes.copy(bytes)))
    }
  }

  package func sync(_ file: OpenFile) throws {
    try recording {
      try base.sync(file)
      journal.synced(file)
    }
  }

  package func makeFolder(_ path: String) throws {
    try recording {
      let isNew = try base.status(path) == nil
      try base.makeFolder(path)
      if isNew { try journal.created(path) }
    }
  }

  package func renameNew(_ from: String, to: String) throws {
    guard try base.status(to) == nil else { throw HoldfastError(errno: EEXIST, "rename \(from) to", to) }
    try rename(from, to: to)
  }

  package func rename(_ from: String, to: String) throws {
    try recording {
      let change = try journal.renaming(from, to: to)
      try base.rename(from, to: to)
      journal.append(change)
    }
  }

  package func unlink(_ path: String) throws {
    try recording {
      let change = try journal.unlinking(path)
      try base.unlink(path)
      journal.append(change)
    }
  }

  package func syncFolder(_ path: String) throws {
    try recording {
      try base.syncFolder(path)
      journal.folderSynced(path)
    }
  }

  package func setAttributes(_ file: OpenFile, _ attributes: FileAttributes) throws -> FileAttributes {
    try recording {
      let before = try base.status(file.path)
      let given = try base.setAttributes(file, attributes)
      try journal.attributesChanged(file.path, before: before)
      return given
    }
  }

  /// Extended attributes are not part of the model.
  package func copyExtendedAttributes(of path: String, to file: OpenFile) throws -> [String] {
    try recording { try base.copyExtendedAttributes(of: path, to: file) }
  }
}

// Operations that only read are not recorded, and a lock may wait for another thread: they do not
// run under the journal's mutex.
extension PowerLoss {
  package func read(_ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
    try checkPower()
    return try base.read(file, into: buffer, at: offset)
  }

  /// Closes even without power, so that locks are released.
  package func close(_ file: OpenFile) {
    // A process that another test starts in this moment holds the file for an instant.
    file.unlock()
    base.close(file)
  }

  package func size(_ file: OpenFile) throws -> Int64 {
    try checkPower()
    return try base.size(file)
  }

  package func lock(_ file: OpenFile, exclusive: Bool, wait: Bool) throws -> Bool {
    try checkPower()
    return try base.lock(file, exclusive: exclusive, wait: wait)
  }

  package func status(_ path: String) throws -> FileStatus? {
    try checkPower()
    return try base.status(path)
  }

  package func list(_ folder: String) throws -> [String] {
    try checkPower()
    return try base.list(folder)
  }

  package func freeSpace(_ folder: String) throws -> Int64 {
    try checkPower()
    return try base.freeSpace(folder)
  }

  package func capacity(_ folder: String) throws -> Int64 {
    try checkPower()
    return try base.capacity(folder)
  }
}
