import BackupEngine
import BackupPolicy
import Glibc
import Logging

/// Decides when the file of metrics is written: at each change, at most once a second, and every
/// five minutes. Belongs to the loop's thread; a thread of its own writes, because a drill can keep
/// the one of housekeeping busy for hours.
final class MetricsWriter {
  /// In milliseconds.
  private static let interval: Int64 = 300_000
  private static let shortest: Int64 = 1000

  private enum State {
    /// There is no file to write.
    case off
    /// Due at a time of the monotonic clock, in milliseconds.
    case waiting(until: Int64)
    /// Being written since a time. Whether there was a change meanwhile.
    case writing(since: Int64, changed: Bool)
  }

  private var state = State.off
  private var path: String?
  private var isFailing = false
  /// The thread of the running write.
  private var thread: AgentThread?

  /// Writes this file from now on; nil: no file.
  func use(_ path: String?) {
    guard path != self.path else { return }
    self.path = path
    switch state {
    case .writing(let time, _): state = .writing(since: time, changed: true)
    case .off, .waiting: state = path == nil ? .off : .waiting(until: .min)
    }
  }

  /// When the file is due, in monotonic milliseconds; nil if nothing is due.
  var deadline: Int64? {
    if case .waiting(let time) = state { time } else { nil }
  }

  func recordChange(at time: Int64) {
    switch state {
    case .off: break
    case .waiting(let due): state = .waiting(until: min(due, time.addingClamped(Self.shortest)))
    case .writing(let since, _): state = .writing(since: since, changed: true)
    }
  }

  /// - Returns: the path of the file, if it is to be written now.
  func begin(at time: Int64) -> String? {
    guard let deadline, deadline <= time, let path else { return nil }
    state = .writing(since: time, changed: false)
    return path
  }

  /// Writes the state of now, and posts the result.
  ///
  /// - Parameter path: the result of ``begin(at:)``.
  func write(
    _ snapshot: MetricsSnapshot, to path: String, _ files: any FileOperations, _ inbox: Mailbox<LoopMessage>,
    _ logger: Logger
  ) {
    do {
      thread = try AgentThread("holdfast-metric") { inbox.post(.metricsWritten(snapshot.write(to: path, files))) }
    } catch {
      finish(HoldfastError(wrapping: error), logger)
    }
  }

  /// The write has ended. A failure is logged once.
  func finish(_ error: HoldfastError?, _ logger: Logger) {
    join()
    guard case .writing(let since, let changed) = state else { return }
    state = path == nil ? .off : .waiting(until: since.addingClamped(changed ? Self.shortest : Self.interval))
    if let error, !isFailing { logger.error("the metrics are not written: \(error)") }
    if error == nil, isFailing { logger.notice("the metrics are written again") }
    isFailing = error != nil
  }

  /// Writes the state at the end of the agent, with its last backups.
  func writeLast(_ snapshot: MetricsSnapshot, _ files: any FileOperations, _ logger: Logger) {
    join()
    guard let path, let error = snapshot.write(to: path, files) else { return }
    logger.log(level: isFailing ? .debug : .error, "the metrics are not written: \(error)")
  }

  /// Waits for the end of the running write.
  func join() {
    thread?.join()
    thread = nil
  }
}

extension MetricsSnapshot {
  /// Replaces a file of metrics with this state. A collector reads the old file or the new one, never
  /// a part. There is no flush: after a power failure the next write replaces it.
  ///
  /// - Returns: the reason why it was not written.
  func write(to path: String, _ files: any FileOperations) -> HoldfastError? {
    let temporary = "\(path).\(getpid())"
    do {
      try files.unlink(temporary)
      let file = try files.open(temporary, .createNew)
      defer { files.close(file) }
      // A collector runs as another user.
      guard fchmod(file.descriptor, 0o644) == 0 else { throw HoldfastError(errno: errno, "change the mode of", path) }
      try Array(page().text.utf8).withUnsafeBytes { try files.write(file, $0, at: 0) }
      try files.rename(temporary, to: path)
      return nil
    } catch {
      try? files.unlink(temporary)
      var error = HoldfastError(wrapping: error)
      error.hint = "metrics_file names a file in an existing folder that the agent's user can write"
      return error
    }
  }
}
