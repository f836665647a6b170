import BackupEngine
import BackupPolicy
import Glibc
import Logging

/// Keeps a second agent away from a repository: a `flock` on `.state/agent.lock`, held for the agent's life. The file says
/// who holds it: process ID, host, and the namespace in which that ID means the process.
final class AgentLock {
  private let service: BackupService
  /// Whether it is held between backups too; if descriptors are short, it is held only while one runs.
  var isKept = true
  private var file: OpenFile?
  private var inode: UInt64?

  private var files: any FileOperations { service.environment.files }

  /// Long enough for every host name, and always of that length, so that nothing of an earlier holder stays behind.
  private static let recordLength = 320

  /// Takes nothing yet.
  init(_ service: BackupService) {
    self.service = service
  }

  deinit { release() }

  func release() {
    if let file { files.close(file) }
    file = nil
  }

  /// A backup has ended.
  func rest() {
    if !isKept { release() }
  }

  /// Takes the lock, or takes it again where the folder was removed or recreated. Costs one `stat` where it is still held.
  ///
  /// - Throws: `busy` with the holder's process ID; anything else where the repository cannot be made or written.
  func ensure() throws {
    if file != nil, try files.status(path(service.folder))?.inode == inode { return }
    release()
    let path = path(try service.repository(create: true).folder)
    for _ in 0..<10 {
      let file = try files.open(path, .lockFile)
      guard try take(file, path) else {
        files.close(file)
        continue
      }
      self.file = file
      return try sign(file)
    }
    throw HoldfastError(.busy, "cannot lock \(path): it is replaced again and again")
  }

  private func path(_ folder: String) -> String { "\(folder)/.state/agent.lock" }

  /// - Returns: false where the file is no longer the one at the path.
  private func take(_ file: OpenFile, _ path: String) throws -> Bool {
    do {
      guard try files.lock(file, exclusive: true, wait: false) else { throw taken(path) }
      var status = stat()
      fstat(file.descriptor, &status)
      inode = UInt64(status.st_ino)
      return try files.status(path)?.inode == inode
    } catch {
      files.close(file)
      throw error
    }
  }

  private func sign(_ file: OpenFile) throws {
    let record = "\(getpid()) \(service.environment.host) \(AgentLockHolder.namespace)"
    let text = Array(record.utf8.prefix(Self.recordLength - 1))
    let padding = [UInt8](repeating: UInt8(ascii: " "), count: Self.recordLength - 1 - text.count)
    try (text + padding + [UInt8(ascii: "\n")]).withUnsafeBytes { try files.write(file, $0, at: 0) }
  }

  private func taken(_ path: String) -> HoldfastError {
    let record = (try? files.contents(path, limit: 4096)).flatMap { $0 } ?? []
    let named = AgentLockHolder(record: record).map { " (\($0))" } ?? ""
    return HoldfastError(
      .busy, "another agent\(named) guards the backup folder \(service.folder)",
      hint: "stop that one first, or give this database a backup folder of its own")
  }
}

extension AgentLock {
  /// Takes the lock for a backup; a failure is an alarm.
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

  /// Takes the lock again if the folder was recreated, because another agent may have come.
  func keep(reportingTo alarms: AlarmBook, _ logger: Logger) {
    guard isKept else { return }
    do {
      try ensure()
      alarms.clear([.otherAgent])
    } catch let error as HoldfastError where error.code == .busy {
      alarms.raise(.otherAgent, error)
    } catch {
      // The next backup says what is wrong with the repository.
      logger.debug("the backup folder is not locked: \(error)")
    }
  }
}
