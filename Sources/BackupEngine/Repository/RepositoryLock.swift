import BackupPolicy
import Glibc

/// How long a command waits for another one that holds a repository.
package struct LockPatience: Sendable {
  /// Milliseconds.
  package var milliseconds: Int
  package init(milliseconds: Int) { self.milliseconds = milliseconds }
}

extension Repository {
  /// Runs `body` while nobody else stores, removes or opens; leftovers of killed runs are removed first.
  ///
  /// - Throws: `busy` where another process holds the repository for longer than `patience`.
  package func exclusively<Result>(
    patience: LockPatience = .init(milliseconds: 30000), _ body: () throws -> Result
  ) throws -> Result {
    try locked(exclusive: true, patience) {
      try removeLeftovers(in: folder)
      try removeLeftovers(in: path(".metadata"))
      try removeLeftovers(in: path(".state"))
      return try body()
    }
  }

  /// Runs `body`, which opens files, while nobody removes any. A read-only repository needs no lock.
  func shared<Result>(patience: LockPatience = .init(milliseconds: 30000), _ body: () throws -> Result) throws -> Result
  {
    guard try files.status(path(".state")) != nil else { return try body() }
    do {
      return try locked(exclusive: false, patience, body)
    } catch let error as HoldfastError where error.code == .permissionDenied && error.message.contains("/.state/lock") {
      return try body()
    }
  }

  private func locked<Result>(exclusive: Bool, _ patience: LockPatience, _ body: () throws -> Result) throws -> Result {
    if exclusive, try files.status(path(".state")) == nil { try files.makeFolder(path(".state")) }
    let file = try files.open(path(".state/lock"), .lockFile)
    // Closing releases the flock.
    defer { files.close(file) }
    var waited = 0
    while try !files.lock(file, exclusive: exclusive, wait: false) {
      guard waited < patience.milliseconds else {
        throw HoldfastError(
          .busy, "the backup folder \(folder) is in use by another holdfast",
          hint: "wait until it is done, then try again")
      }
      usleep(20000)
      waited += 20
    }
    return try body()
  }

  /// Removes temporary files of runs that died: ours by name, with a lock that nobody holds.
  fileprivate func removeLeftovers(in folder: String) throws {
    guard try files.status(folder)?.kind == .folder else { return }
    for name in try files.list(folder) where name.hasPrefix(".tmp-") {
      try Leftovers.remove("\(folder)/\(name)", files)
    }
  }
}

extension Repository {
  /// A folder for decrypted files that live for one command: this host's own, for whoever can read the repository must not
  /// be able to read them, and whoever can write there must not be able to swap them.
  func scratchFolder() throws -> String {
    let scratch = "\(hostStates.folder)/scratch"
    try files.makeFolders(scratch)
    try removeLeftovers(in: scratch)
    return scratch
  }
}

/// Temporary files: each is locked by the run that made it, for as long as that run lives.
enum Leftovers {
  /// Removes a temporary file unless its maker still lives.
  static func remove(_ path: String, _ files: any FileOperations) throws {
    guard try files.status(path)?.kind == .regular, let file = try? files.open(path, .read) else { return }
    defer { files.close(file) }
    if try files.lock(file, exclusive: true, wait: false) { try files.unlink(path) }
  }

  /// Makes a temporary file, runs `body`, and removes the file where `body` throws.
  static func withFile<Result>(
    _ path: String, _ files: any FileOperations, _ body: (OpenFile) throws -> Result
  ) throws -> Result {
    try remove(path, files)
    let file = try files.open(path, .createNew)
    defer { files.close(file) }
    do {
      _ = try files.lock(file, exclusive: true, wait: false)
      return try body(file)
    } catch {
      try? files.unlink(path)
      throw error
    }
  }
}
