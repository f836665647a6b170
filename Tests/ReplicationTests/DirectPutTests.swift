import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication
import Synchronization
import TestSupport
import Testing

/// Only a plan names the newest backup that it leaves in the target.
@Suite("Puts of new backups between two plans", .ownThread)
struct DirectPutTests {
  private func isPlanned(_ outcome: ReplicationOutcome) -> Bool { outcome.plan.head != nil }

  @Test("A backup that builds on the newest one is put without a plan, and restores")
  func direct() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    let replicator = bed.replicator()
    #expect(isPlanned(try replicator.run()))
    for number in 1...3 {
      let point = try bed.change(number)
      let outcome = try replicator.run(stored: [point])
      #expect(!isPlanned(outcome) && outcome.put.map(\.id) == [point.id])
      #expect(outcome.put[0].parent == Int64(number) && outcome.unsent == nil && outcome.requests.puts == 1)
      #expect(try bed.restored(point.id) == bed.bed.image())
    }
    #expect(try replicator.run().put.isEmpty)
    #expect(try replicator.plan().steps.isEmpty)
  }

  @Test("Two backups are two puts with interval 0, and one with an interval, after it")
  func interval() throws {
    for interval in [Int64(0), 60_000] {
      let bed = try ReplicationBed(interval: interval)
      _ = try bed.bed.engine().create(CreateRequest())
      let replicator = bed.replicator()
      _ = try replicator.run()
      let points = [try bed.change(1), try bed.change(2)]
      let first = try replicator.run(stored: points)
      if interval == 0 {
        #expect(!isPlanned(first) && first.put.map(\.id) == points.map(\.id))
        continue
      }
      #expect(first.put.isEmpty && first.unsent?.count == 2)
      let due = try #require(first.next)
      #expect(due > bed.bed.time.now() && due <= bed.bed.time.now().adding(seconds: 60))
      let third = try bed.change(3)
      #expect(try replicator.run(stored: [third]).unsent?.count == 3)
      bed.bed.time.advance(seconds: 60)
      let outcome = try replicator.run(stored: [])
      #expect(!isPlanned(outcome) && outcome.put.map(\.id) == [third.id] && outcome.put[0].parent == 1)
      #expect(outcome.unsent == nil)
      #expect(try bed.restored(third.id) == bed.bed.image())
    }
  }

  @Test("A backup that another program stored in between, or that is gone, makes a plan")
  func others() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    let replicator = bed.replicator()
    _ = try replicator.run()
    let (unknown, known) = (try bed.change(1), try bed.change(2))
    let outcome = try replicator.run(stored: [known])
    #expect(isPlanned(outcome) && Set(outcome.put.map(\.id)) == [unknown.id, known.id])
    let gone = try bed.change(3)
    try SystemFileOperations().unlink("\(bed.bed.backups)/\(gone.filename)")
    let next = try replicator.run(stored: [gone])
    #expect(next.put.isEmpty && isPlanned(next))
  }

  @Test("Without news, after a failure, and after a minute, there is a plan")
  func plans() throws {
    let bed = try ReplicationBed()
    var environment = bed.bed.environment()
    let clock = Clock()
    environment.monotonic = { clock.now }
    let engine = Engine(
      database: bed.bed.database, folder: bed.bed.backups, credentials: TestBed.credentials(.key),
      environment: environment)
    _ = try bed.bed.engine().create(CreateRequest())
    let replicator = bed.replicator(engine)
    _ = try replicator.run()
    #expect(isPlanned(try replicator.run(stored: [])))
    #expect(!isPlanned(try replicator.run(stored: [bed.change(1)])))
    clock.now += 60_000
    #expect(isPlanned(try replicator.run(stored: [bed.change(2)])))
    let stop = Progress()
    stop.stop()
    let third = try bed.change(3)
    #expect(throws: HoldfastError.self) { try replicator.run(stored: [third], progress: stop) }
    let outcome = try replicator.run(stored: [])
    #expect(isPlanned(outcome) && outcome.put.map(\.id) == [third.id])
  }
}

private final class Clock: Sendable {
  private let time = Mutex<Int64>(0)
  var now: Int64 {
    get { time.withLock { $0 } }
    set { time.withLock { $0 = newValue } }
  }
}
