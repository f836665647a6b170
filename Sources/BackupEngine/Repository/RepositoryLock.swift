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

/// One period in which this process has the exclusive lock.
struct LockVisit {
  /// Whether no other process had the lock since the visit that left the given mark.
  let isUndisturbed: Bool
  /// The mark that this visit left in the lock's file; nil if it could not be written.
  let mark: [UInt8]?

  private static let size = 16

  init(_ file: OpenFile, since known: [UInt8]?, _ files: any FileOperations) throws {
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
}

extension Repository {
  /// Runs `body` while no other process stores, removes or opens; leftovers of killed runs are
  /// removed first.
  ///
  /// - Throws: `busy` if another process locks the repository for longer than `patience`;
  ///   `interrupted` if the operation of `patience` is stopped meanwhile.
  package func exclusively<Result>(
    patience: LockPatience = .init(milliseconds: 30000), _ body: () throws -> Result
  ) throws -> Result {
    try exclusively(patience: patience, since: nil) { _ in try body() }
  }

  /// Runs `body` for a caller that takes the lock again and again, and reports whether another
  /// process had it in between.
  ///
  /// Each process that takes the lock leaves its own mark in the file, so this needs no listing of
  /// the folder.
  func exclusively<Result>(
    patience: LockPatience, since mark: [UInt8]?, _ body: (LockVisit) throws -> Result
  ) throws -> Result {
    try locked(exclusive: true, patience) { file in
      let visit = try LockVisit(file, since: mark, files)
      if !visit.isUndisturbed {
        for folder in [folder, path(".metadata"), path(".state")] { try removeLeftovers(in: folder) }
      }
      return try body(visit)
    }
  }

  /// Runs `body`, which opens files, while no other process removes any. A read-only repository
  /// needs no lock.
  func shared<Result>(patience: LockPatience = .init(milliseconds: 30000), _ body: () throws -> Result) throws -> Result
  {
    guard try files.status(path(".state")) != nil else { return try body() }
    do {
      return try locked(exclusive: false, patience) { _ in try body() }
    } catch let error as HoldfastError where error.code == .permissionDenied && error.message.contains("/.state/lock") {
      return try body()
    }
  }

  private func locked<Result>(
    exclusive: Bool, _ patience: LockPatience, _ body: (OpenFile) throws -> Result
  ) throws -> Result {
    if exclusive, try files.status(path(".state")) == nil { try files.makeFolder(path(".state")) }
    let file = try files.open(path(".state/lock"), .lockFile)
    // Closing releases the flock.
    defer { files.close(file) }
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
    return try body(file)
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

/// The process that has the agent's lock, as the lock's file records it.
package struct AgentLockHolder: CustomStringConvertible {
  private var process: String
  private var host: String?
  private var namespace: String?

  /// Nil if nothing is recorded.
  package init?(record: [UInt8]) {
    let line = String(decoding: record.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    let words = line.split(separator: " ").map(String.init)
    guard let first = words.first else { return nil }
    process = first
    host = words.count > 1 ? words[1] : nil
    namespace = words.count > 2 ? words[2] : nil
  }

  /// The namespace of this process's ID; `-` if it cannot be read.
  package static let namespace = ProcFile.processNamespace ?? "-"

  /// If the ID was recorded in another namespace, it is a container's own.
  package var description: String {
    let isForeign = namespace.map { $0 != Self.namespace } ?? false
    return "process \(process)" + (isForeign ? " of another container" : "") + (host.map { " on \($0)" } ?? "")
  }
}
