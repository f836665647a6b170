import BackupEngine
import BackupPolicy
import Glibc
import Logging

/// Keeps a second agent away from a repository with a `flock` on `.state/agent.lock`, held as long
/// as the agent runs. The file identifies the holder: process ID, host, the namespace of that ID,
/// and the socket for commands.
final class AgentLock {
  private let engine: Engine
  /// The path of the socket for commands; nil if there is none.
  private let socket: String?
  /// Whether the lock is also held between backups. If descriptors are scarce, each backup holds a
  /// ``BriefLock`` instead.
  var isKept = true
  /// The last attempt to keep the lock found that the repository is away, and raised its alarm.
  private var isAway = false
  private var file: OpenFile?
  private var inode: UInt64?

  private var files: any FileOperations { engine.environment.files }

  /// Long enough for every host name and most paths, and always the same length, so that no text of
  /// an earlier holder remains.
  private static let recordLength = 1024

  /// Does not acquire the lock yet.
  init(_ engine: Engine, socket: String? = nil) {
    (self.engine, self.socket) = (engine, socket)
  }

  deinit { release() }

  func release() {
    if let file {
      file.unlock()
      files.close(file)
    }
    file = nil
  }

  /// The lock for one backup. It is acquired by the thread of that backup: all backups that wait for
  /// a thread would need more descriptors than there are.
  var brief: BriefLock { BriefLock(engine: engine, socket: socket) }

  /// No backup runs.
  func rest() {
    if !isKept { release() }
  }

  /// Acquires the lock. Acquires it again if the folder was removed or recreated. Costs one `stat`
  /// if the lock is still held.
  ///
  /// - Throws: `busy` with the holder's process ID; other errors if the repository cannot be
  ///   created or written.
  func ensure() throws {
    if file != nil, try files.status(path(engine.folder))?.inode == inode { return }
    release()
    guard try isNeeded() else { return }
    let path = path(try engine.repository(create: true).folder)
    for _ in 0..<10 {
      let file = try files.open(path, .lockFile)
      guard try acquire(file, path) else {
        files.close(file)
        continue
      }
      self.file = file
      return try sign(file)
    }
    throw HoldfastError(.busy, "cannot lock \(path): the file is replaced repeatedly")
  }

  /// If neither the database nor the folder of its backups exists, there is nothing to protect, and
  /// a new folder would look like a repository.
  private func isNeeded() throws -> Bool {
    try files.status(engine.folder) != nil || engine.database.map { try files.status($0) != nil } ?? false
  }

  private func path(_ folder: String) -> String { "\(folder)/.state/agent.lock" }

  /// - Returns: false if the file is no longer the one at the path.
  private func acquire(_ file: OpenFile, _ path: String) throws -> Bool {
    do {
      guard try lockIfFree(file) else { throw busyError(path) }
      var status = stat()
      fstat(file.descriptor, &status)
      inode = UInt64(status.st_ino)
      return try files.status(path)?.inode == inode
    } catch {
      files.close(file)
      throw error
    }
  }

  /// Locks the file if no other agent has done so. A command that looks for an agent holds it for an
  /// instant.
  private func lockIfFree(_ file: OpenFile) throws -> Bool {
    for _ in 0..<5 {
      if try files.lock(file, exclusive: true, wait: false) { return true }
      usleep(10_000)
    }
    return try files.lock(file, exclusive: true, wait: false)
  }

  private func sign(_ file: OpenFile) throws {
    let holder = AgentLockHolder(process: getpid(), host: engine.environment.host, socket: socket)
    let text = holder.record(limit: Self.recordLength - 1)
    let padding = [UInt8](repeating: UInt8(ascii: " "), count: Self.recordLength - 1 - text.count)
    try (text + padding + [UInt8(ascii: "\n")]).withUnsafeBytes { try files.write(file, $0, at: 0) }
  }

  private func busyError(_ path: String) -> HoldfastError {
    let record = (try? files.contents(path, limit: 4096)).flatMap { $0 } ?? []
    let named = AgentLockHolder(record: record).map { " (\($0))" } ?? ""
    return HoldfastError(
      .busy, "another agent\(named) uses the backup folder \(engine.folder)",
      hint: "stop that agent first, or give this database its own backup folder")
  }
}

extension AgentLock {
  /// Acquires the lock for a backup; a failure raises an alarm.
  ///
  /// - Returns: the failure.
  func acquire(reportingTo alarms: AlarmBook) -> HoldfastError? {
    do {
      try ensure()
      alarms.clear([.otherAgent])
      return nil
    } catch {
      rest()
      let error = HoldfastError(wrapping: error)
      alarms.raise(error.code == .busy ? .otherAgent : Alarm(error.code), error)
      return error
    }
  }

  /// Acquires the lock again if the folder was recreated, because another agent may have started
  /// meanwhile. If the repository is away, that is an alarm before the next backup fails.
  func keep(reportingTo alarms: AlarmBook, _ logger: Logger) {
    guard isKept else { return }
    do {
      try ensure()
      alarms.clear(isAway ? [.otherAgent, .failing] : [.otherAgent])
      isAway = false
    } catch let error as HoldfastError where error.code == .busy {
      alarms.raise(.otherAgent, error)
    } catch let error as HoldfastError where error.code == .refused {
      alarms.raise(.failing, error)
      isAway = true
    } catch {
      // The next backup reports the repository's problem.
      logger.debug("the backup folder is not locked: \(error)")
    }
  }
}

/// An ``AgentLock`` that is held during one backup, and may be acquired by any thread.
struct BriefLock: Sendable {
  fileprivate let engine: Engine
  fileprivate let socket: String?

  /// - Throws: as ``AgentLock/ensure()``.
  func acquire() throws -> AgentLock {
    let lock = AgentLock(engine, socket: socket)
    try lock.ensure()
    return lock
  }
}
