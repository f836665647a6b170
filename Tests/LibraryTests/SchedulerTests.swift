import BackupAgent
import TestSupport
import Testing

@Suite("The library's scheduler", .ownThread)
struct SchedulerTests {
  private func configuration(
    _ change: (inout BackupSchedulerConfiguration) -> Void = { _ in }
  ) -> BackupSchedulerConfiguration {
    var configuration = BackupSchedulerConfiguration()
    configuration.timeZone = "UTC"
    configuration.debounce = .milliseconds(50)
    configuration.minInterval = .milliseconds(50)
    change(&configuration)
    return configuration
  }

  private func scheduler(
    _ service: BackupService, _ change: (inout BackupSchedulerConfiguration) -> Void = { _ in }
  ) -> BackupScheduler {
    BackupScheduler(service: service, configuration: configuration(change), logger: LibraryBed.silent)
  }

  /// Waits for a backup that meets the condition; the limit is far beyond the expected time.
  @discardableResult
  private func point(
    of service: BackupService, where fits: (PointMetadata) -> Bool
  ) async throws -> PointMetadata {
    for _ in 0..<3000 {
      let points = (try? await service.list()) ?? []
      if let point = points.first(where: fits) { return point }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw HoldfastError(.failed, "waited in vain for a point; there are \(try await service.list().map(\.id))")
  }

  /// Waits until the newest backup contains this many rows. An incremental does not record its rows,
  /// so it is restored.
  @discardableResult
  private func newest(of service: BackupService, with rows: Int, _ bed: LibraryBed) async throws -> PointMetadata {
    for _ in 0..<3000 {
      if let point = try? await service.list(limit: 1).first {
        let copy = bed.folder.path("copy-\(UInt64.random(in: 0 ... .max)).db")
        try await service.execute(service.planRestore(point.id, to: copy))
        if try bed.rows(at: copy) == "\(rows)" { return point }
      }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw HoldfastError(.failed, "waited in vain for \(rows) rows; there are \(try await service.list().map(\.id))")
  }

  /// Waits until the job meets the condition.
  private func job(of scheduler: BackupScheduler, where fits: (BackupJobInfo) -> Bool) async throws -> BackupJobInfo {
    for _ in 0..<3000 {
      if let job = await scheduler.jobInfo(), fits(job) { return job }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw HoldfastError(.failed, "waited in vain; the job is \(String(describing: await scheduler.jobInfo()))")
  }

  @Test("The scheduler stores changes and requested backups, stops, and starts again")
  func life() async throws {
    let bed = try LibraryBed(rows: 10)
    let service = try bed.plainService()
    let scheduler = scheduler(service) { $0.encrypt = false }
    #expect(!scheduler.isRunning)
    #expect(await scheduler.jobInfo() == nil)
    try await scheduler.start()
    #expect(scheduler.isRunning)
    try await point(of: service) { $0.totalRecords == 10 }
    try bed.sql("INSERT INTO entries VALUES (11, 'x')")
    #expect(try await newest(of: service, with: 11, bed).backupType == .change)
    try scheduler.triggerBackup()
    // A backup exists when its archive exists; its metadata with the row counts follows at once.
    try await point(of: service) { $0.backupType == .manual && $0.totalRecords == 11 }
    await scheduler.stop()
    #expect(!scheduler.isRunning)
    let count = try await service.list().count
    try bed.sql("INSERT INTO entries VALUES (12, 'x')")
    let error = #expect(throws: HoldfastError.self) { try scheduler.triggerBackup() }
    #expect(error?.code == .refused)
    #expect(try await service.list().count == count)
    await scheduler.stop()
    try await scheduler.start()
    try await newest(of: service, with: 12, bed)
    await scheduler.stop()
  }

  @Test("A repository has one running agent, and a scheduler that runs cannot be started again")
  func second() async throws {
    let bed = try LibraryBed(rows: 1)
    let service = try bed.plainService()
    let (first, second) = (scheduler(service), scheduler(service))
    try await first.start()
    var error = await #expect(throws: HoldfastError.self) { try await second.start() }
    #expect(error?.code == .busy && !second.isRunning)
    error = await #expect(throws: HoldfastError.self) { try await first.start() }
    #expect(error?.code == .refused && first.isRunning)
    await first.stop()
    try await second.start()
    #expect(second.isRunning)
    await second.stop()
  }

  @Test("When a scheduler is released, it stops")
  func lettingGo() async throws {
    let bed = try LibraryBed(rows: 1)
    let service = try bed.plainService()
    var first: BackupScheduler? = scheduler(service)
    try await first?.start()
    first = nil
    let second = scheduler(service)
    for _ in 0..<3000 where !second.isRunning {
      do { try await second.start() } catch let error as HoldfastError where error.code == .busy {
        try await Task.sleep(for: .milliseconds(10))
      }
    }
    #expect(second.isRunning)
    await second.stop()
  }

  @Test("The scheduler reports its next run, accepts another schedule and rejects a mistake")
  func schedules() async throws {
    let bed = try LibraryBed(rows: 1)
    let service = try bed.plainService()
    let scheduler = scheduler(service) { $0.schedule = "30 2 * * *" }
    #expect(await scheduler.nextRunTime() == nil, "nothing runs")
    try await scheduler.start()
    let next = try #require(await scheduler.nextRunTime())
    #expect(next.civil.hour == 2 && next.civil.minute == 30 && next.civil.second == 0)
    let error = #expect(throws: HoldfastError.self) { try scheduler.updateSchedule("30 25 * * *") }
    #expect(error?.code == .usage && error?.message.contains("column") == true, "\(error?.message ?? "")")
    #expect(await scheduler.nextRunTime() == next)
    try scheduler.updateSchedule("@hourly")
    #expect(await scheduler.nextRunTime()?.civil.minute == 0)
    let job = try await job(of: scheduler) { $0.nextRunTime?.civil.minute == 0 }
    #expect(job.schedule == "@hourly" && job.timeZone == "UTC" && job.mode == .hybrid && job.alarms.isEmpty)
    #expect(job.scheduleInWords != nil && job.failures == 0)
    try scheduler.updateSchedule(nil)
    #expect(await scheduler.nextRunTime() == nil)
    await scheduler.stop()
  }

  @Test(
    "If a configuration is invalid, the scheduler does not start",
    arguments: [
      { $0.schedule = "every day" }, { $0.timeZone = "Europe/Atlantis" }, { $0.quietHours = "late" },
      { $0.retentionDays = 0 }, { $0.maxBackups = -1 }, { $0.retention.retentionDays = 0 },
      { $0.retention.keepLast = -2 }, { $0.retention.keepHourly = -2 }, { $0.retention.keepYearly = .min },
      { $0.retention.keepWithin = CalendarSpan(days: -1) }, { $0.retention.keepWithinYearly = CalendarSpan(years: -1) },
      { $0.retention.anomalyHold = .seconds(-1) }, { $0.retention.safetyGrace = .seconds(-1) },
      { $0.retention.minFreeSpace = .percent(100) }, { $0.retention.minFreeSpace = .bytes(-1) },
      {
        $0.mode = .schedule
        $0.schedule = nil
      },
    ] as [@Sendable (inout BackupSchedulerConfiguration) -> Void])
  func mistakes(change: @Sendable (inout BackupSchedulerConfiguration) -> Void) async throws {
    let bed = try LibraryBed(rows: 1)
    let scheduler = scheduler(try bed.plainService(), change)
    let error = await #expect(throws: HoldfastError.self) { try await scheduler.start() }
    #expect(error?.code == .usage, "\(error?.message ?? "")")
    #expect(!scheduler.isRunning)
    #expect(try bed.folder.read("backups/.state/agent.lock") == nil)
  }

  @Test("The two old properties are rules of the policy, and a mistake is reported as in a configuration file")
  func rules() async throws {
    var configuration = configuration()
    (configuration.retentionDays, configuration.maxBackups) = (30, 10)
    #expect(configuration.retention == RetentionPolicy(retentionDays: 30, maxBackups: 10))
    configuration.retention.maxBackups = nil
    #expect(configuration.retentionDays == 30 && configuration.maxBackups == nil)
    let service = try LibraryBed(rows: 1).plainService()
    let error = await #expect(throws: HoldfastError.self) {
      try await scheduler(service) { $0.retention.keepDaily = -7 }.start()
    }
    #expect(error?.message == "keepDaily is -7, which is not a whole number of at least 1, all, or none")
  }

  @Test("The scheduler removes backups that no calendar or tag rule keeps")
  func retention() async throws {
    let bed = try LibraryBed(rows: 5)
    let service = try bed.plainService()
    let tagged = try await service.create(tags: ["release"])
    let old = try await service.create()
    let base = try await service.create()
    let scheduler = scheduler(service) {
      $0.encrypt = false
      $0.schedule = nil
      $0.retention.keepYearly = 1
      $0.retention.keepTags = [["release"]]
    }
    try await scheduler.start()
    try bed.sql("INSERT INTO entries VALUES (6, 'x')")
    let change = try await point(of: service) { $0.backupType == .change }
    for _ in 0..<1000 where try await service.list().contains(where: { $0.id == old.id }) {
      try await Task.sleep(for: .milliseconds(10))
    }
    await scheduler.stop()
    #expect(try await service.list().map(\.id) == [change.id, base.id, tagged.id])
  }

  @Test("Without a key the scheduler does not start, and if it is disabled, it does nothing")
  func refusals() async throws {
    let bed = try LibraryBed(rows: 1)
    let service = try bed.service(password: nil)
    let error = await #expect(throws: HoldfastError.self) { try await scheduler(service).start() }
    #expect(error?.code == .keyMissing)
    let disabled = scheduler(service) { $0.enabled = false }
    try await disabled.start()
    #expect(!disabled.isRunning)
    await disabled.stop()
  }

  @Test("A missing database is an alarm until it exists")
  func alarm() async throws {
    let bed = try LibraryBed(rows: 3)
    var options = bed.options
    options.encrypt = false
    let path = bed.folder.path("late.db")
    let service = try BackupService(databaseURL: path, options: options, logger: LibraryBed.silent)
    let scheduler = scheduler(service)
    try await scheduler.start()
    let job = try await job(of: scheduler) { !$0.alarms.isEmpty }
    #expect(job.alarms.map(\.kind) == ["missing"] && job.alarms.allSatisfy { $0.hint != nil })
    try bed.sql("VACUUM INTO '\(path)'")
    try await point(of: service) { $0.totalRecords == 3 }
    _ = try await self.job(of: scheduler) { $0.alarms.isEmpty && $0.state == .idle }
    await scheduler.stop()
  }
}
