import BackupPolicy
import Testing

@Suite("When backups are copied to a target")
struct ShippingMachineTests {
  private static let start: Int64 = 1_700_000_000_000

  /// A machine with its two clocks, which run together.
  private struct Bed {
    var machine: ShippingMachine
    var elapsed: Int64 = 0

    init(maxLag: Int64 = 900, interval: Int64 = 10_000, check: Int64 = 0) {
      machine = ShippingMachine(
        ShippingMachine.Settings(lag: LagPolicy(maxLag: maxLag, interval: interval), check: check))
    }

    var now: Timestamp { Timestamp(milliseconds: ShippingMachineTests.start + elapsed) }
    var moment: Moment { Moment(wall: now, monotonic: elapsed) }
    var deadline: Deadline { machine.deadline(at: now) }

    mutating func send(_ event: ShippingEvent, after milliseconds: Int64 = 0) -> ShippingAction {
      elapsed += milliseconds
      return machine.receive(event, at: moment)
    }

    mutating func store(after milliseconds: Int64 = 0) -> ShippingAction {
      elapsed += milliseconds
      return send(.stored(PointID("backup_20231114_221320")!, now))
    }

    /// The first run, without a result that matters.
    mutating func begin() {
      #expect(send(.tick) == .run(atOnce: false))
      #expect(send(.finished(.done(unsent: nil, next: nil))) == .wait)
    }
  }

  @Test("The first run begins at once; then a machine without work has no deadline")
  func idle() {
    var bed = Bed()
    bed.begin()
    #expect(bed.deadline == Deadline())
    #expect(bed.send(.tick, after: 86_400_000) == .wait)
  }

  @Test("A stored backup, a removal and a compaction start a run; during a run they start the next one")
  func events() {
    var bed = Bed()
    bed.begin()
    #expect(bed.store() == .run(atOnce: false))
    #expect(bed.send(.changed) == .wait)
    #expect(bed.store() == .wait)
    #expect(bed.send(.finished(.done(unsent: nil, next: nil))) == .run(atOnce: false))
    #expect(bed.machine.unsent?.count == 1)
    #expect(bed.send(.finished(.done(unsent: nil, next: nil))) == .wait)
    #expect(bed.machine.unsent == nil)
  }

  @Test("Nothing is known before a run finds out what is missing, and a repository that is away changes nothing")
  func known() {
    var bed = Bed()
    #expect(bed.send(.tick) == .run(atOnce: false))
    #expect(bed.send(.finished(.failed(pause: 1000, unsent: nil))) == .wait)
    #expect(bed.send(.tick, after: 1000) == .run(atOnce: false))
    #expect(bed.send(.finished(.noRepository)) == .wait)
    #expect(bed.store() == .run(atOnce: false))
    #expect(bed.send(.finished(.noRepository)) == .wait)
    #expect(!bed.machine.isKnown && bed.machine.unsent?.count == 1)
    #expect(bed.send(.changed) == .run(atOnce: false))
    let unsent = UnsentBackups(count: 2, oldest: PointID("backup_20231114_221320")!, since: bed.now)
    #expect(bed.send(.finished(.failed(pause: 1000, unsent: unsent))) == .wait)
    #expect(bed.machine.isKnown && bed.machine.unsent == unsent)
  }

  @Test("While an interval is not over, events start nothing; a clock that was set back does not prolong it")
  func interval() {
    var bed = Bed()
    bed.begin()
    let due = Timestamp(milliseconds: Self.start + 7000)
    _ = bed.store()
    #expect(bed.send(.finished(.done(unsent: nil, next: due))) == .wait)
    #expect(bed.store(after: 1000) == .wait)
    #expect(bed.deadline.wall == due)
    #expect(bed.send(.tick, after: 5999) == .wait)
    #expect(bed.send(.tick, after: 1) == .run(atOnce: false))
    let far = Timestamp(milliseconds: Self.start + 7000 + 10_001)
    #expect(bed.send(.finished(.done(unsent: nil, next: far))) == .run(atOnce: false))
  }

  @Test("A failed target is left alone for its pause, whatever is stored, unless a person asks")
  func pause() {
    var bed = Bed()
    bed.begin()
    _ = bed.store()
    #expect(bed.send(.finished(.failed(pause: 5000, unsent: nil))) == .wait)
    #expect(bed.machine.failures == 1)
    #expect(bed.store(after: 1000) == .wait)
    #expect(bed.deadline.monotonic == 5000)
    #expect(bed.send(.tick, after: 3999) == .wait)
    #expect(bed.send(.tick, after: 1) == .run(atOnce: false))
    #expect(bed.send(.finished(.failed(pause: 3_600_000, unsent: nil))) == .wait)
    #expect(bed.send(.requested) == .run(atOnce: false))
    #expect(bed.send(.finished(.done(unsent: nil, next: nil))) == .wait)
    #expect(bed.machine.failures == 0)
  }

  @Test("After a failure the next try is known, and sync begins one at once, also within the interval")
  func nextTry() {
    var bed = Bed()
    bed.begin()
    #expect(bed.machine.nextTry(at: bed.moment) == nil)
    _ = bed.store()
    #expect(bed.machine.nextTry(at: bed.moment) == nil)
    _ = bed.send(.finished(.failed(pause: 300_000, unsent: nil)))
    bed.elapsed = 1000
    #expect(bed.machine.nextTry(at: bed.moment) == Timestamp(milliseconds: Self.start + 300_000))
    #expect(bed.send(.sync) == .run(atOnce: true))
    #expect(bed.machine.nextTry(at: bed.moment) == nil)
    // One that comes during a run begins the next one.
    #expect(bed.send(.sync) == .wait)
    let due = Timestamp(milliseconds: Self.start + 7000)
    #expect(bed.send(.finished(.done(unsent: nil, next: due))) == .wait)
  }

  @Test("A run that stored something and then failed is the first failure again")
  func progress() {
    var bed = Bed()
    bed.begin()
    for number in 1...5 {
      #expect(bed.machine.attempt(madeProgress: false) == number)
      #expect(bed.machine.attempt(madeProgress: true) == 1)
      _ = bed.send(.requested)
      _ = bed.send(.finished(.failed(pause: 5000, unsent: nil)))
    }
    _ = bed.send(.requested)
    #expect(bed.send(.finished(.failed(pause: 5000, unsent: nil, madeProgress: true))) == .wait)
    #expect(bed.machine.failures == 1 && bed.machine.attempt(madeProgress: false) == 2)
    // It pauses all the same.
    #expect(bed.store(after: 4999) == .wait)
    #expect(bed.send(.tick, after: 1) == .run(atOnce: false))
  }

  @Test("A target that fails is behind after its max_lag, also if nothing new is stored")
  func lag() throws {
    var bed = Bed(maxLag: 900, interval: 10_000)
    bed.begin()
    _ = bed.store()
    _ = bed.send(.finished(.failed(pause: 3_600_000, unsent: nil)))
    #expect(bed.deadline.wall == Timestamp(milliseconds: Self.start + 910_001))
    guard case .within = bed.machine.lag(at: bed.now) else {
      Issue.record("it is late at once")
      return
    }
    bed.elapsed = 910_001
    guard case .behind(let unsent, _) = bed.machine.lag(at: bed.now) else {
      Issue.record("it is not late")
      return
    }
    #expect(unsent.count == 1 && bed.deadline.wall == nil)
    let known = UnsentBackups(count: 4, oldest: unsent.oldest, since: unsent.since)
    _ = bed.send(.requested)
    _ = bed.send(.finished(.failed(pause: 1, unsent: known)))
    #expect(bed.machine.unsent == known)
  }

  @Test("A check is due after its time, counted from the last run that made one")
  func check() {
    var bed = Bed(check: 100)
    bed.begin()
    #expect(bed.deadline == Deadline(monotonic: 101_000))
    #expect(bed.store(after: 50_000) == .run(atOnce: false))
    #expect(bed.send(.finished(.done(unsent: nil, next: nil))) == .wait)
    #expect(bed.deadline == Deadline(monotonic: 101_000))
    #expect(bed.send(.tick, after: 51_000) == .run(atOnce: false))
    #expect(bed.send(.finished(.done(unsent: nil, next: nil))) == .wait)
    #expect(bed.deadline == Deadline(monotonic: 202_000))
  }

  @Test("At a shutdown, what is missing is sent at once, and nothing after a failure")
  func shutdown() {
    var bed = Bed()
    bed.begin()
    #expect(bed.send(.shutdown) == .end)
    #expect(bed.store() == .end && bed.machine.isOver)

    var waiting = Bed()
    waiting.begin()
    _ = waiting.store()
    _ = waiting.send(.finished(.done(unsent: nil, next: Timestamp(milliseconds: Self.start + 9000))))
    #expect(waiting.send(.shutdown) == .run(atOnce: true))
    #expect(waiting.send(.finished(.done(unsent: nil, next: nil))) == .end)

    var running = Bed()
    running.begin()
    _ = running.store()
    #expect(running.send(.shutdown) == .wait)
    #expect(running.send(.finished(.failed(pause: 1, unsent: nil))) == .end)

    var failed = Bed()
    failed.begin()
    _ = failed.store()
    _ = failed.send(.finished(.failed(pause: 1000, unsent: nil)))
    #expect(failed.send(.shutdown) == .end)
  }
}
