import BackupEngine
import BackupPolicy
import Logging
import ServiceLifecycle
import Synchronization
import TestSupport

@testable import BackupAgent

/// A database, a repository with a key, and the log of an agent, in a folder of their own.
final class AgentHarness: Sendable {
  let folder: TemporaryFolder
  let database: String
  let backups: String
  let log: LogRecorder
  let engine: Engine
  let control: AgentControl
  let rows: PointRows

  /// - Parameters:
  ///   - base: the folder for all of this harness's files.
  ///   - files: the engine's file operations, if a test makes them fail.
  ///   - now: wall time, if a test sets it.
  ///   - clock: both clocks, if they are not to run together.
  ///   - monotonic: the loop's clock, if a test sets it.
  init(
    in base: String? = nil, folder data: String = "data", database name: String = "app.db",
    files: (any FileOperations)? = nil, now: (@Sendable () -> Timestamp)? = nil,
    clock: (@Sendable () -> ClockReading)? = nil, monotonic: (@Sendable () -> Int64)? = nil,
    logLevel: Logger.Level = .info
  ) throws {
    log = LogRecorder(logLevel)
    folder = try TemporaryFolder(in: base)
    rows = PointRows(folder)
    try SystemFileOperations().makeFolders(folder.path(data))
    database = folder.path("\(data)/\(name)")
    backups = folder.path("backups")
    control = try AgentControl()
    let logger = log.logger
    var environment = EngineEnvironment.system(stateFolder: folder.path("state"), logger: logger)
    environment.files = files ?? environment.files
    environment.monotonic = monotonic ?? environment.monotonic
    if let now {
      environment.now = now
      environment.clock = clock ?? { ClockReading(wall: now(), elapsed: now().milliseconds, boot: "steady") }
      environment.clockIsSynchronized = { clock == nil }
    }
    engine = Engine(
      database: database, folder: backups, credentials: Credentials(key: SecretBytes(try SecretBytes.random(32))),
      environment: environment)
  }

  /// Settings with short times; a test overrides those that it checks.
  static func settings(_ change: (inout AgentSettings) -> Void = { _ in }) -> AgentSettings {
    var settings = AgentSettings()
    settings.debounce = 150
    settings.maxDelay = 3000
    settings.minInterval = 50
    change(&settings)
    return settings
  }

  /// Runs `body` beside an agent, which then stops cleanly: `ServiceGroup.run()` must return
  /// without an error.
  func withAgent(
    _ settings: AgentSettings = settings(), stopGrace: Int64 = 10000, parts: (inout EventLoop.Parts) -> Void = { _ in },
    _ body: (ServiceGroup) async throws -> Void
  ) async throws {
    try await withAgent(configuration(settings, stopGrace: stopGrace), parts: parts, body)
  }

  /// - Parameter database: a path that replaces ``database``.
  func configuration(
    _ settings: AgentSettings = settings(), database: String? = nil, stopGrace: Int64 = 10000
  ) -> AgentConfiguration {
    let guarded = Engine(
      database: database ?? self.database, folder: backups, credentials: engine.credentials,
      environment: engine.environment)
    return AgentConfiguration(
      databases: [AgentDatabase(name: "app", engine: guarded, settings: settings)], stopGrace: stopGrace)
  }

  func withAgent(
    _ configuration: AgentConfiguration, reload: (@Sendable () throws -> AgentConfiguration)? = nil,
    parts: (inout EventLoop.Parts) -> Void = { _ in }, _ body: (ServiceGroup) async throws -> Void
  ) async throws {
    var agent = AgentService(configuration, control: control, reload: reload, logger: log.logger)
    parts(&agent.parts)
    let group = ServiceGroup(configuration: .init(services: [.init(service: agent)], logger: log.logger))
    let running = Task.beside { try await group.run() }
    do {
      try await log.wait(for: "watching ")
      try await body(group)
    } catch {
      await group.triggerGracefulShutdown()
      try? await running.value
      throw error
    }
    await group.triggerGracefulShutdown()
    try await running.value
  }

  /// Runs Python's sqlite3 in a process of its own; there, `path` is the path of the database.
  func python(_ script: String) async throws {
    let result = try await offPool { [database] in
      try Python.run(script: "import os, sqlite3, sys, time\npath = sys.argv[1]\n" + script, arguments: [database])
    }
    guard result.status == 0 else { throw HoldfastError(.failed, "python failed: \(result.stderr)") }
  }

  /// Creates a table `t` in a database of this journal mode.
  func createDatabase(journal: String = "wal") async throws {
    try await python(
      """
      c = sqlite3.connect(path)
      c.execute("PRAGMA journal_mode=\(journal)")
      c.execute("CREATE TABLE t(n INTEGER PRIMARY KEY, s)")
      c.commit()
      c.close()
      """)
  }

  /// Backups, oldest first.
  func points() throws -> [PointMetadata] {
    do {
      return try engine.list().reversed().map(\.metadata)
    } catch let error as HoldfastError where error.code == .pointNotFound {
      return []
    }
  }

  /// Rows of table `t` in the newest backup.
  func newestRows() throws -> Int64? {
    try points().last.map { try rows.count($0.id, engine) }
  }

  func waitForPoints(_ count: Int) async throws {
    try await eventually("\(count) points") { try points().count >= count }
  }

  func waitForRows(_ count: Int64) async throws {
    try await eventually("a point with \(count) rows") { try newestRows() == count }
  }

  /// Temporary files anywhere in the repository.
  func leftovers() throws -> [String] {
    let files = SystemFileOperations()
    return try ["", "/.metadata", "/.state"].flatMap { part in
      try files.status(backups + part) == nil ? [] : try files.list(backups + part).filter { $0.hasPrefix(".tmp-") }
    }
  }

  func everyPointVerifies() async throws -> Bool {
    try await offPool { [engine] in try engine.list().allSatisfy { try engine.verify($0.id.text).verified } }
  }

  func wait(for line: String, of process: ProcessInBackground) async throws {
    try await eventually("\(line) of a process") { process.lines.contains(line) }
  }

  /// Waits until `condition` is true; the limit is far beyond the expected time.
  func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    for _ in 0..<3000 {
      if try await condition() { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw HoldfastError(.failed, "waited in vain for \(what); the log:\n\(log.lines.joined(separator: "\n"))")
  }
}

/// Follows a database from backup to backup, as the agent's worker does.
struct FollowedDatabase {
  private let engine: Engine
  private let kept: KeptConnection
  private let follower: ChangeFollower

  init(_ engine: Engine, _ kept: KeptConnection) {
    (self.engine, self.kept) = (engine, kept)
    follower = ChangeFollower(engine)
  }

  /// Stores an incremental.
  ///
  /// - Parameter decide: called under the repository's lock after the look at the database.
  func store(_ progress: Progress = Progress(), _ decide: () -> Void = {}) throws -> ChangeReport {
    let request = CreateRequest(AgentHarness.settings().archive, for: BackupReason(.change))
    let visit = try follower.beginVisit(request, kind: .automatic)
    defer { visit.end() }
    let snapshot = try visit.snapshot(of: kept.opened(engine.requireDatabase()))
    kept.record(snapshot)
    decide()
    return visit.store(snapshot, progress: progress)
  }
}

/// Runs blocking work on another thread, because the agent's engine also uses the test's own
/// thread.
func offPool<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    do {
      try AgentThread("test") { continuation.resume(with: Result { try body() }) }.detach()
    } catch {
      continuation.resume(throwing: error)
    }
  }
}

/// Keeps the log.
final class LogRecorder: Sendable {
  private let recorded = Mutex<[String]>([])
  private let level: Logger.Level

  init(_ level: Logger.Level = .info) {
    self.level = level
  }

  var lines: [String] { recorded.withLock { $0 } }

  func count(_ text: String) -> Int { lines.count { $0.contains(text) } }

  func clear() { recorded.withLock { $0.removeAll() } }

  var logger: Logger { Logger(label: "test") { [self] _ in Handler(recorder: self, logLevel: level) } }

  func wait(for text: String) async throws {
    for _ in 0..<30000 {
      if count(text) > 0 { return }
      try await Task.sleep(for: .milliseconds(1))
    }
    throw HoldfastError(.failed, "waited in vain for a line with: \(text)")
  }

  private struct Handler: LogHandler {
    let recorder: LogRecorder
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      recorder.recorded.withLock { $0.append("\(event.level): \(event.message)") }
    }
  }
}

/// A flag for an event that has happened.
final class Flag: Sendable {
  private let value = Atomic(false)
  var isSet: Bool { value.load(ordering: .relaxed) }
  func set() { value.store(true, ordering: .relaxed) }
}
