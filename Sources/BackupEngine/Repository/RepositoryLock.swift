import BackupPolicy
import Glibc
import SQLitePages

/// How long a command waits for another one that locks a repository.
package struct LockPatience: Sendable {
  /// Milliseconds.
  package var milliseconds: Int
  /// Ends the wait with `interrupted` if it is stopped.
  private var progress: Progress?

  package init(milliseconds: Int) { self.milliseconds = milliseconds }

  /// The same, and the wait ends early if the operation is stopped.
  func stopped(by progress: Progress) -> LockPatience {
    var patience = self
    patience.progress = progress
    return patience
  }

  /// - Throws: `interrupted` if the operation was stopped.
  fileprivate func check() throws { try progress?.check() }
}

/// One period in which this process has the exclusive lock: from ``Repository/lock(patience:since:)``
/// to ``end()``.
final class LockVisit {
  /// Whether no other process had the lock since the visit that left the given mark.
  let isUndisturbed: Bool
  /// The mark that this visit left in the lock's file; nil if it could not be written.
  let mark: [UInt8]?
  private let file: OpenFile
  private let files: any FileOperations
  private var isOver = false

  private static let size = 16

  fileprivate init(_ file: OpenFile, since known: [UInt8]?, _ files: any FileOperations) throws {
    (self.file, self.files) = (file, files)
    var found = [UInt8](repeating: 0, count: Self.size)
    let count = try found.withUnsafeMutableBytes { try files.read(file, into: $0, at: 0) }
    isUndisturbed = known != nil && count == Self.size && found == known
    let own = try SecretBytes.random(Self.size)
    do {
      try own.withUnsafeBytes { try files.write(file, $0, at: 0) }
      mark = own
    } catch {
      // A full disk must not prevent the removal of backups. Without a mark, the next process
      // checks everything.
      mark = nil
    }
  }

  deinit { end() }

  /// Releases the lock, in a `defer` right after it was taken. A second call does nothing: another
  /// file may have the number of the closed one by then.
  func end() {
    guard !isOver else { return }
    isOver = true
    file.unlock()
    files.close(file)
  }
}

extension Repository {
  /// Takes the exclusive lock: until ``LockVisit/end()`` no other process stores, removes or opens.
  /// Leftovers of killed runs are removed first.
  ///
  /// Each process that takes the lock leaves its own mark in the file. So a caller that takes the
  /// lock again and again learns whether another process had it in between, without a listing of
  /// the folder.
  ///
  /// - Parameter mark: the mark of the caller's last visit; nil if there was none.
  /// - Throws: `busy` if another process locks the repository for longer than `patience`;
  ///   `interrupted` if the operation of `patience` is stopped meanwhile.
  func lock(patience: LockPatience, since mark: [UInt8]? = nil) throws -> LockVisit {
    let visit = try beginVisit(openLock(exclusive: true, patience), since: mark)
    guard !visit.isUndisturbed else { return visit }
    do {
      for folder in [folder, path(".metadata"), path(".state")] { try removeLeftovers(in: folder) }
      return visit
    } catch {
      visit.end()
      throw error
    }
  }

  private func beginVisit(_ file: OpenFile, since mark: [UInt8]?) throws -> LockVisit {
    do {
      return try LockVisit(file, since: mark, files)
    } catch {
      files.close(file)
      throw error
    }
  }

  /// Runs `body` under the exclusive lock; see ``lock(patience:since:)``.
  package func exclusively<Result>(
    patience: LockPatience = .init(milliseconds: 30000), _ body: () throws -> Result
  ) throws -> Result {
    let visit = try lock(patience: patience)
    defer { visit.end() }
    return try body()
  }

  /// Runs `body`, which opens files, while no other process removes any. A read-only repository
  /// needs no lock.
  ///
  /// - Parameter progress: ends the wait if it is stopped.
  func shared<Result>(
    patience: LockPatience = .init(milliseconds: 30000), progress: Progress? = nil, _ body: () throws -> Result
  ) throws -> Result {
    let patience = progress.map { patience.stopped(by: $0) } ?? patience
    guard try files.status(path(".state")) != nil else { return try body() }
    let file: OpenFile
    do {
      file = try openLock(exclusive: false, patience)
    } catch let error as HoldfastError where error.code == .permissionDenied && error.message.contains("/.state/lock") {
      return try body()
    }
    defer { files.close(file) }
    return try body()
  }

  /// Opens and locks the lock's file. Closing it releases the lock.
  private func openLock(exclusive: Bool, _ patience: LockPatience) throws -> OpenFile {
    if exclusive, try files.status(path(".state")) == nil { try files.makeFolder(path(".state")) }
    let file = try files.open(path(".state/lock"), .lockFile)
    do {
      var waited = 0
      while try !files.lock(file, exclusive: exclusive, wait: false) {
        guard waited < patience.milliseconds else {
          throw HoldfastError(
            .busy, "the backup folder \(folder) is in use by another holdfast",
            hint: "wait until it has finished, then try again")
        }
        try patience.check()
        usleep(20000)
        waited += 20
      }
      return file
    } catch {
      files.close(file)
      throw error
    }
  }

  /// Removes the temporary files of runs that died: those with our names that no process has
  /// locked.
  func removeLeftovers(in folder: String) throws {
    guard try files.status(folder)?.kind == .folder else { return }
    for name in try files.list(folder) where Leftovers.isOurs(name) {
      Leftovers.remove("\(folder)/\(name)", files)
    }
  }
}
