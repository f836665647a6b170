import BackupEngine
import BackupPolicy
import Glibc
import Synchronization

/// File operations that count steps over all threads and fail, or stop the run, at one of them.
///
/// Run once with no fault, then once for each of ``places(for:)``:
///
///     let clean = StepFaults()
///     try work(clean)
///     for step in clean.places(for: .kill()) {
///       let faults = StepFaults(failAt: step, .kill())
///       #expect(throws: Killed.self, "\(faults.steps)") { try work(faults) }
///       // Look at what is on the disk with SystemFileOperations.
///     }
package final class StepFaults: FileOperations {
  private let base: any FileOperations
  private let failAt: Int
  private let fault: Fault
  private let state = Mutex(State())

  private struct State {
    var steps: [Step] = []
    var firedAt: Int?
    var killedBy: Step?
  }

  /// The treatment of one operation.
  private enum Verdict {
    case proceed
    /// The first half of a write reaches the disk, then the error is thrown.
    case halfThenThrow(any Error)
  }

  /// - Parameters:
  ///   - base: the operations that do the work. The default never waits for the disk, because
  ///     killing a process loses no page cache.
  ///   - failAt: the step, counted from 1, at which `fault` strikes; nil for a clean run.
  package init(
    wrapping base: any FileOperations = UnflushedFileOperations(), failAt: Int? = nil, _ fault: Fault = .kill()
  ) {
    self.base = base
    self.failAt = failAt ?? .max
    self.fault = fault
  }

  /// The number of operations that were requested before the kill, if any.
  package var count: Int { state.withLock { $0.steps.count } }

  /// The step at which the fault struck; nil if it did not.
  package var firedAt: Int? { state.withLock { $0.firedAt } }

  /// The requested operations, in order, to print with a failure: `12 rename a → b`.
  package var steps: [String] {
    state.withLock { $0.steps }.enumerated().map { "\($0 + 1) \($1)" }
  }

  /// The steps of this run at which `fault` has an effect that it would not have at a later one: an
  /// errno at a step where the system may return it, a kill before each change of the disk (a kill
  /// before a read leaves the same state as one before the next change), a torn kill at each write.
  package func places(for fault: Fault) -> [Int] {
    state.withLock { $0.steps }.enumerated().filter { _, step in
      switch fault {
      case .error(let code, _): step.mayFail(with: code)
      case .kill(torn: false): step.changesFiles
      case .kill(torn: true): step.isWrite
      }
    }.map { $0.offset + 1 }
  }

  /// The steps of this run before which a loss of power may leave a new state, and the one after
  /// the last: work that was reported as done must survive.
  package var placesForPowerLoss: [Int] {
    let steps = state.withLock { $0.steps }
    return steps.enumerated().filter { $1.mattersToPowerLoss }.map { $0.offset + 1 } + [steps.count + 1]
  }

  @discardableResult
  private func next(_ kind: Step.Kind, _ path: String) throws -> Verdict {
    let step = Step(kind, path)
    return try state.withLock { state in
      if let by = state.killedBy { throw Killed(description: "killed at \(by), then asked to \(step)") }
      state.steps.append(step)
      guard state.steps.count >= failAt else { return .proceed }
      switch fault {
      case .kill(let torn):
        state.firedAt = state.steps.count
        state.killedBy = step
        let killed = Killed(description: "killed at \(step)")
        if torn, step.isWrite { return .halfThenThrow(killed) }
        throw killed
      case .error(let code, let persistent):
        return try strike(code, persistent: persistent, at: step, &state)
      }
    }
  }

  private func strike(_ code: Int32, persistent: Bool, at step: Step, _ state: inout State) throws -> Verdict {
    let error = HoldfastError(errno: code, step.failure.verb, step.failure.path)
    let full = code == ENOSPC || code == EDQUOT
    if state.firedAt == nil {
      guard step.mayFail(with: code) else { return .proceed }
      state.firedAt = state.steps.count
      if full, step.isWrite { return .halfThenThrow(error) }
      throw error
    }
    if persistent, full ? step.takesSpace : true { throw error }
    return .proceed
  }
}

extension StepFaults {
  package func open(_ path: String, _ mode: OpenMode) throws -> OpenFile {
    try next(.open(mode), path)
    return try base.open(path, mode)
  }

  package func read(_ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
    try next(.read(buffer.count, at: offset), file.path)
    return try base.read(file, into: buffer, at: offset)
  }

  package func write(_ file: OpenFile, _ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    switch try next(.write(bytes.count, at: offset), file.path) {
    case .proceed:
      try base.write(file, bytes, at: offset)
    case .halfThenThrow(let error):
      try base.write(file, UnsafeRawBufferPointer(rebasing: bytes.prefix(bytes.count / 2)), at: offset)
      throw error
    }
  }

  package func sync(_ file: OpenFile) throws {
    try next(.sync, file.path)
    try base.sync(file)
  }

  /// Closes even after a kill, as the kernel does, so that locks are released.
  package func close(_ file: OpenFile) {
    // A child that another test starts at this moment has a copy of the descriptor until its `exec`,
    // and the lock of a process that is to look dead would last as long.
    file.unlock()
    base.close(file)
  }

  package func size(_ file: OpenFile) throws -> Int64 {
    try next(.size, file.path)
    return try base.size(file)
  }

  package func lock(_ file: OpenFile, exclusive: Bool, wait: Bool) throws -> Bool {
    try next(.lock(exclusive: exclusive), file.path)
    return try base.lock(file, exclusive: exclusive, wait: wait)
  }

  package func status(_ path: String) throws -> FileStatus? {
    try next(.status, path)
    return try base.status(path)
  }

  package func list(_ folder: String) throws -> [String] {
    try next(.list, folder)
    return try base.list(folder)
  }

  package func makeFolder(_ path: String) throws {
    try next(.makeFolder, path)
    try base.makeFolder(path)
  }

  package func renameNew(_ from: String, to: String) throws {
    try next(.rename(to: to), from)
    try base.renameNew(from, to: to)
  }

  package func rename(_ from: String, to: String) throws {
    try next(.rename(to: to), from)
    try base.rename(from, to: to)
  }

  package func unlink(_ path: String) throws {
    try next(.unlink, path)
    try base.unlink(path)
  }

  package func syncFolder(_ path: String) throws {
    try next(.syncFolder, path)
    try base.syncFolder(path)
  }

  package func setAttributes(_ file: OpenFile, _ attributes: FileAttributes) throws -> FileAttributes {
    try next(.setAttributes, file.path)
    return try base.setAttributes(file, attributes)
  }

  package func copyExtendedAttributes(of path: String, to file: OpenFile) throws -> [String] {
    try next(.copyExtendedAttributes, file.path)
    return try base.copyExtendedAttributes(of: path, to: file)
  }

  package func freeSpace(_ folder: String) throws -> Int64 {
    try next(.freeSpace, folder)
    return try base.freeSpace(folder)
  }

  package func capacity(_ folder: String) throws -> Int64 {
    try next(.freeSpace, folder)
    return try base.capacity(folder)
  }
}
