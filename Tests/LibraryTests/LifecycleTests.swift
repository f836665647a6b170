import BackupAgent
import ServiceLifecycle
import TestSupport
import Testing

@Suite("The scheduler as a service of a group", .ownThread)
struct LifecycleTests {
  @Test("A graceful shutdown ends the scheduler, enabled or not", arguments: [true, false])
  func shutdown(enabled: Bool) async throws {
    let bed = try LibraryBed(rows: 4)
    let service = try bed.plainService()
    var configuration = BackupSchedulerConfiguration()
    configuration.enabled = enabled
    configuration.timeZone = "UTC"
    let scheduler = BackupScheduler(service: service, configuration: configuration, logger: LibraryBed.silent)
    let group = ServiceGroup(configuration: .init(services: [.init(service: scheduler)], logger: LibraryBed.silent))
    let running = Task.beside { try await group.run() }
    for _ in 0..<3000 where enabled && !scheduler.isRunning { try await Task.sleep(for: .milliseconds(10)) }
    #expect(scheduler.isRunning == enabled)
    await group.triggerGracefulShutdown()
    try await running.value
    #expect(!scheduler.isRunning)
  }

  @Test("If the scheduler cannot start, the group ends")
  func failure() async throws {
    let bed = try LibraryBed(rows: 1)
    var configuration = BackupSchedulerConfiguration()
    configuration.schedule = "never"
    let scheduler = BackupScheduler(
      service: try bed.plainService(), configuration: configuration, logger: LibraryBed.silent)
    let group = ServiceGroup(configuration: .init(services: [.init(service: scheduler)], logger: LibraryBed.silent))
    let error = await #expect(throws: HoldfastError.self) { try await group.run() }
    #expect(error?.code == .usage)
  }
}
