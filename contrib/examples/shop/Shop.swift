import BackupAgent
import CSQLite

/// An application with a database, and its code for backups: `example-shop FOLDER`.
///
/// It uses only the public interface: it is compiled without access to the rest.
@main
struct Shop {
  static func main() async throws {
    guard CommandLine.arguments.count == 2 else { return print("usage: example-shop FOLDER") }
    let folder = CommandLine.arguments[1]
    let orders = try OrderBook(path: "\(folder)/shop.db")
    try orders.place(2000)

    var options = BackupServiceOptions()
    options.stateFolder = "\(folder)/state"
    let service = try BackupService(
      databaseURL: "\(folder)/shop.db", backupDirectory: "\(folder)/backups",
      encryptionPassword: "correct horse battery staple", options: options)

    let point = try await backUp(orders, with: service)
    try await undoAnAccident(orders, with: service, point.id)
    try await guardBursts(orders, with: service, in: folder)
    try await tidyUp(service)
  }

  static func backUp(_ orders: OrderBook, with service: BackupService) async throws -> PointMetadata {
    let point = try await service.create(description: "before the sale", tags: ["example"])
    print("backed up \(point.totalRecords ?? 0) orders, encrypted: \(point.encrypted), compressed: \(point.compressed)")
    let verification = try await service.verify(point.id)
    print("verified: \(verification.verified), errors: \(verification.errors)")
    for listed in try await service.list() { print("listed: \(listed.backupType), \(listed.status)") }
    return point
  }

  /// A plan can be shown before its execution; the application keeps its connection all the while.
  static func undoAnAccident(_ orders: OrderBook, with service: BackupService, _ id: PointID) async throws {
    try orders.loseAll()
    print("after the accident there are \(try orders.count()) orders")
    let plan = try await service.planRestore(id)
    print("the plan: \(plan.steps.map(\.kind.rawValue).joined(separator: ", "))")
    let outcome = try await service.execute(plan)
    print("restored \(try orders.count()) orders; what was there is kept: \(outcome.safetyBackupID != nil)")
  }

  static func guardBursts(_ orders: OrderBook, with service: BackupService, in folder: String) async throws {
    var configuration = BackupSchedulerConfiguration()
    configuration.schedule = "30 2 * * 1-5"
    configuration.timeZone = "UTC"
    configuration.debounce = .milliseconds(100)
    configuration.maxBackups = 30
    let scheduler = BackupScheduler(service: service, configuration: configuration)
    try await scheduler.start()
    if let job = await scheduler.jobInfo() {
      print("watching: \(job.isWatching), scheduled: \(job.scheduleInWords ?? "")")
    }
    for burst in 1...2 {
      for _ in 0..<10 { try orders.place(2) }
      let point = try await newestPoint(of: service, with: orders.count(), copies: "\(folder)/copy-\(burst)")
      print("burst \(burst): a \(point.backupType) backup has all \(try orders.count()) orders")
    }
    try scheduler.updateSchedule("@hourly")
    print("the next run is on the hour: \((await scheduler.nextRunTime())?.civil.minute == 0)")
    await scheduler.stop()
    print("running: \(scheduler.isRunning)")
  }

  /// An incremental's metadata counts no rows, so each new backup is restored beside the database
  /// and read.
  static func newestPoint(
    of service: BackupService, with orders: Int64, copies: String
  ) async throws -> PointMetadata {
    var seen: PointID?
    while true {
      if let point = try await service.list(limit: 1).first, point.id != seen {
        seen = point.id
        let copy = "\(copies)-\(point.id).db"
        try await service.execute(service.planRestore(point.id, to: copy))
        if try OrderBook(path: copy).count() == orders { return point }
      }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  static func tidyUp(_ service: BackupService) async throws {
    let decision = try await service.cleanUp(keeping: 1)
    // Incrementals stay with the full on which they build, whatever their number.
    let fulls = decision.keep.filter { !$0.reasons.contains { $0.hasPrefix("belongs to") } }
    for verdict in fulls { print("kept: \(verdict.reasons.joined(separator: "; "))") }
    let stats = try await service.stats()
    print("nothing failed: \(stats.failed == 0)")
  }
}
