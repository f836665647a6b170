import BackupEngine
import BackupPolicy
import Glibc
import ObjectStorage
import Replication
import ServiceLifecycle
import TestSupport

@testable import BackupAgent

/// The tools of the suites about an agent that copies to a folder.
protocol TargetTests {}

extension TargetTests {
  /// For Python: adds a row.
  var insert: String { "c = sqlite3.connect(path); c.execute(\"INSERT INTO t(s) VALUES ('x')\"); c.commit()" }

  /// - Parameter name: of the target and of its folder.
  func target(
    _ harness: AgentHarness, _ name: String = "nas", interval: Int64 = 0, makesFolder: Bool = true
  ) throws -> Target {
    let path = harness.folder.path(name)
    let files = SystemFileOperations()
    if makesFolder, try files.status(path) == nil { try files.makeFolder(path) }
    var settings = TargetSettings(name: name, retention: RetentionPolicy())
    settings.interval = interval
    return try Target(name: name, address: path, settings: settings)
  }

  func configuration(
    _ harness: AgentHarness, _ targets: [Target], stopGrace: Int64 = 10000,
    _ change: (inout AgentSettings) -> Void = { _ in }
  ) -> AgentConfiguration {
    var configuration = harness.configuration(AgentHarness.settings(change), stopGrace: stopGrace)
    configuration.databases[0].targets = targets
    return configuration
  }

  /// The backups in a target, in the order of their numbers.
  func copies(_ target: Target) throws -> [PointID] {
    guard case .folder(let path) = target.url, try SystemFileOperations().status(path) != nil else { return [] }
    let names = try FolderStore(path).listAll(ListQuery()).objects.compactMap { object -> RemoteName? in
      guard case .archive(let name)? = RemoteKey(object.key)?.object else { return nil }
      return name
    }
    return names.sorted { $0.sequence < $1.sequence }.map(\.id)
  }

  func waitForCopies(_ target: Target, _ harness: AgentHarness) async throws {
    try await harness.eventually("all backups in \(target.name)") {
      let points = try harness.points().map(\.id)
      return try !points.isEmpty && copies(target) == points
    }
  }

  /// Waits for an alarm of this kind and returns it.
  func alarm(_ kind: String, _ harness: AgentHarness) async throws -> AlarmStatus {
    for _ in 0..<3000 {
      let alarms = await harness.control.status().flatMap(\.alarms)
      if let alarm = alarms.first(where: { $0.kind == kind }) { return alarm }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw HoldfastError(.failed, "no alarm \(kind): \(harness.log.lines)")
  }

  func waitForCalm(_ harness: AgentHarness) async throws {
    for _ in 0..<3000 {
      if await harness.control.status().allSatisfy({ $0.alarms.isEmpty }) { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw HoldfastError(.failed, "the alarms stay: \(harness.log.lines)")
  }

  /// Runs `body` beside another agent of a harness.
  func withNextAgent(
    _ harness: AgentHarness, _ target: Target, _ body: (AgentControl) async throws -> Void
  ) async throws {
    try await withNextAgent(harness, configuration(harness, [target]), body)
  }

  func withNextAgent(
    _ harness: AgentHarness, _ configuration: AgentConfiguration, _ body: (AgentControl) async throws -> Void
  ) async throws {
    let control = try AgentControl()
    let agent = AgentService(configuration, control: control, reload: nil, logger: harness.log.logger)
    let group = ServiceGroup(configuration: .init(services: [.init(service: agent)], logger: harness.log.logger))
    let running = Task.beside { try await group.run() }
    let result: Result<Void, any Error>
    do {
      result = .success(try await body(control))
    } catch {
      result = .failure(error)
    }
    await group.triggerGracefulShutdown()
    try await running.value
    try result.get()
  }
}
