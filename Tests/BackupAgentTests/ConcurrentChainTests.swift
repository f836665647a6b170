import BackupEngine
import BackupPolicy
import Glibc
import TestSupport
import Testing

@testable import BackupAgent

/// Programs write as fast as they can while the agent's code stores the changes.
@Suite(.ownThread) struct ConcurrentChainTests {
  /// - Parameter autocheckpoint: the smaller it is, the more often the log restarts and pages have
  ///   to be compared.
  @Test(arguments: [50, 10000]) func everyPointKeepsThePromisesOfItsWriters(autocheckpoint: Int) async throws {
    let log = LogRecorder(.debug)
    let points = try await offPool {
      let bed = try TestBed()
      try DatabaseLedger.create(at: bed.database, journalMode: "wal")
      try bed.change("CREATE TABLE ballast(b); INSERT INTO ballast VALUES (randomblob(9000000))")
      let points = try Self.points(bed, log, autocheckpoint: autocheckpoint)
      for point in points { try Self.requirePromises(bed, point) }
      return points
    }
    #expect(points.count >= 10, "\(log.lines)")
    #expect(log.count("tracker miss") == 0, "\(log.lines)")
  }

  private static func points(_ bed: TestBed, _ log: LogRecorder, autocheckpoint: Int) throws -> [PointID] {
    var environment = bed.environment()
    // On a loaded machine it is not known for how long such writers leave no gap.
    environment.busyTimeout = 30000
    let engine = Engine(
      database: bed.database, folder: bed.backups, credentials: TestBed.credentials(.key), environment: environment)
    let backup = DatabaseWorker(engine, AgentHarness.settings(), log.logger, KeptConnection(environment))
    let writers = try [1, 2].map {
      try DatabaseLedger.startWriter(bed.database, journalMode: "wal", autocheckpoint: autocheckpoint, seed: $0)
    }
    defer { writers.forEach { $0.stop() } }
    var points: [PointID] = []
    for round in 1...24 {
      bed.time.advance(milliseconds: 1000)
      let ending = try round.isMultiple(of: 8) ? backup.takeOnSchedule() : backup.storeChange(Progress()).ending.get()
      if case .stored(let point) = ending { points.append(point.id) }
      // No program reads for a while, so the log can restart.
      usleep(5000)
    }
    return points
  }

  /// Reading a backup checks its digest; its content must be one moment of the ledger.
  private static func requirePromises(_ bed: TestBed, _ point: PointID) throws {
    let path = try bed.folder.write("restored.db", ChainImage(bed.engine(), point).bytes)
    defer { for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) } }
    let reader = try DatabaseApplication(path)
    defer { reader.close() }
    for promise in DatabaseLedger.invariants where try reader.value(promise) != "1" {
      throw BrokenChain(point: point, objection: promise)
    }
    guard try reader.value("PRAGMA quick_check") == "ok" else {
      throw BrokenChain(point: point, objection: "not sound")
    }
  }
}

extension DatabaseWorker {
  func takeOnSchedule() throws -> BackupEnding { try storeFull(for: .scheduled, Progress()).ending.get() }
}
