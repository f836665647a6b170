import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication
import TestSupport
import Testing

@Suite("Two machines and one target", .ownThread)
struct TwoWritersTests {
  /// A machine with a copy of the repository, its database and its host's state.
  private func clone(_ bed: ReplicationBed) throws -> Engine {
    #expect(try Shell.run("cp", ["-a", bed.bed.backups, bed.bed.folder.path("clone")]).status == 0)
    #expect(try Shell.run("cp", ["-a", bed.bed.stateFolder, bed.bed.folder.path("clone-state")]).status == 0)
    #expect(try Shell.run("cp", ["-a", bed.bed.database, bed.bed.folder.path("clone.db")]).status == 0)
    var environment = bed.bed.environment()
    (environment.stateFolder, environment.host) = (bed.bed.folder.path("clone-state"), "clone-host")
    return Engine(
      database: bed.bed.database, folder: bed.bed.folder.path("clone"), credentials: TestBed.credentials(.key),
      environment: environment)
  }

  @Test("A copy of the machine that falls behind writes nothing and names the other one")
  func cloneStops() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    _ = try bed.replicator().run()
    let other = try clone(bed)
    let newest = try bed.change(1)
    #expect(try bed.replicator().run().put.count == 1)
    let (before, writers) = (try bed.archives(), try bed.writers())
    bed.bed.time.advance(seconds: 60)
    let stopped = try bed.replicator(other).run()
    guard case .stop(let reason)? = stopped.plan.steps.first else {
      Issue.record("\(stopped.plan.steps)")
      return
    }
    #expect(reason.contains("backup 2") && reason.contains("test-host"), "\(reason)")
    #expect(try bed.archives() == before && bed.writers() == writers)
    #expect(try bed.restored(newest.id) == bed.bed.image())
  }

  @Test("After a take-over the machine goes on with a full, and the other one stops")
  func takeOver() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    let first = bed.replicator()
    _ = try first.run()
    let other = try clone(bed)
    try bed.change(1)
    _ = try first.run()
    bed.bed.time.advance(seconds: 120)
    let second = bed.replicator(other)
    try second.takeOver()
    let waiting = try second.run()
    #expect(waiting.put.isEmpty && waiting.obstacle == .fullNeeded && waiting.plan.needsFull)
    #expect(try second.summary().needsFull)
    // Even a change becomes a full.
    var request = CreateRequest()
    request.reason.type = .change
    guard case .stored(let full, _) = try other.store(request, kind: .automatic) else {
      Issue.record("nothing was stored")
      return
    }
    #expect(full.kind == .full)
    // Its number is behind all that the target holds.
    #expect(full.sequence == 3)
    #expect(try second.run().put.map(\.id) == [full.id])
    #expect(try !second.summary().needsFull)
    bed.bed.time.advance(seconds: 120)
    try bed.change(2)
    let stopped = try first.run()
    #expect(stopped.put.isEmpty)
    guard case .stop(let reason)? = try first.plan().steps.first else {
      Issue.record("the first machine goes on")
      return
    }
    #expect(reason.contains("clone-host"), "\(reason)")
  }

  @Test("A machine whose target was taken over removes nothing after a list, also within its last look")
  func takenOverAtAList() throws {
    var rules = RetentionRules()
    rules.keepLast = 1
    let bed = try ReplicationBed(retention: RetentionPolicy(rules))
    _ = try bed.bed.engine().create(CreateRequest())
    let first = bed.replicator()
    _ = try first.run()
    let other = try clone(bed)
    bed.bed.time.advance(seconds: 120)
    try bed.change(1)
    // This run has looked for other writers a moment ago.
    _ = try first.run()
    bed.bed.time.advance(seconds: 5)
    let second = bed.replicator(other)
    try second.takeOver()
    guard case .stored(let full, _) = try other.store(CreateRequest(), kind: .full) else {
      throw HoldfastError(.failed, "nothing was stored")
    }
    #expect(try second.run().put.map(\.id) == [full.id])
    bed.bed.time.advance(seconds: 5)
    _ = try bed.bed.engine().create(CreateRequest())
    first.listsFirst = true
    let stopped = try first.run()
    #expect(stopped.put.isEmpty && stopped.removed.isEmpty && stopped.obstacle != nil, "\(stopped)")
    #expect(try bed.archives().contains { $0.id == full.id } && bed.read(.latest) == bed.bed.image())
  }

  @Test("A machine that listed the target before another one began stops at its first write", arguments: [true, false])
  func staleList(hasConditions: Bool) throws {
    let bed = try ReplicationBed(store: MemoryStore(hasConditions: hasConditions))
    _ = try bed.bed.engine().create(CreateRequest())
    _ = try bed.replicator().run()
    let other = try clone(bed)
    let late = bed.replicator(other)
    #expect(try late.plan().steps.isEmpty)
    let newest = try bed.change(1)
    #expect(try bed.replicator().run().put.map(\.id) == [newest.id])
    bed.bed.time.advance(seconds: 10)
    _ = try other.store(CreateRequest(for: BackupReason(.change)), kind: .incremental)
    let archives = try bed.archives()
    let stopped = try late.run()
    #expect(stopped.put.isEmpty && stopped.obstacle != nil, "\(stopped)")
    #expect(try bed.archives() == archives)
  }

  @Test("Copies of a machine that store different backups in the same second do not take each other's for their own")
  func sameSecond() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    _ = try bed.replicator().run()
    let other = try clone(bed)
    let newest = try bed.change(1)
    #expect(try bed.replicator().run().put.map(\.id) == [newest.id])
    let image = try bed.bed.image()
    try bed.bed.change("INSERT INTO entries(text) VALUES ('another change')")
    guard case .stored(let same, _) = try other.store(CreateRequest(for: BackupReason(.change)), kind: .incremental)
    else { throw HoldfastError(.failed, "nothing was stored") }
    #expect(same.id == newest.id && same.sequence == newest.sequence && same.digest != newest.digest)
    let archives = try bed.archives()
    let stopped = try bed.replicator(other).run()
    #expect(stopped.put.isEmpty && stopped.obstacle?.reason.contains("backup 2, which") == true, "\(stopped)")
    #expect(try bed.archives() == archives && bed.restored(newest.id) == image)
  }

  @Test("Backups with one ID and two numbers are distinguished, and not reported as lost")
  func oneIDTwoNumbers() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    _ = try bed.replicator().run()
    let (other, start) = (try clone(bed), bed.bed.time.now())
    let theirs = try (1...2).map { number in
      let backup = try bed.change(number)
      _ = try bed.replicator().run()
      return backup
    }
    let image = try bed.bed.image()
    // The clock of the other machine is behind.
    bed.bed.time.set(start.adding(seconds: 5))
    let second = bed.replicator(other)
    try second.takeOver()
    bed.bed.time.set(theirs[0].id.second)
    try bed.bed.change("INSERT INTO entries(text) VALUES ('of the other machine')")
    let full = try other.create(CreateRequest())
    #expect(full.id == theirs[0].id && full.sequence == 4, "\(full.id), \(full.sequence ?? 0), \(theirs.map(\.id))")
    let outcome = try second.run()
    #expect(outcome.put.map(\.sequence) == [4] && outcome.plan.lost.isEmpty, "\(outcome.plan)")
    second.forget()
    let plan = try second.plan()
    #expect(plan.lost.isEmpty && plan.steps.isEmpty && plan.superseded.isEmpty, "\(plan)")
    let own = try bed.bed.image()
    #expect(try bed.read(.latest) == own && bed.read(.named(full.id.text)) == own)
    #expect(try bed.read(.named(theirs[1].id.text)) == image)
  }

  @Test("Without its memo, a machine recognises its own newest backup by one read")
  func ownBackups() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    try bed.change(1)
    _ = try bed.replicator().run()
    try SystemFileOperations().rename(bed.bed.folder.path("state/targets"), to: bed.bed.folder.path("state/lost"))
    let outcome = try bed.replicator().run()
    // Its writer record, and the head of the newest archive.
    #expect(outcome.put.isEmpty && outcome.obstacle == nil && outcome.requests.gets == 2, "\(outcome.requests)")
    #expect(try bed.replicator().run().requests.gets == 0)
  }

  @Test("A take-over counts on behind all backups that are there, also behind those since its list")
  func lateTakeOver() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    let first = bed.replicator()
    _ = try first.run()
    let other = try clone(bed)
    let second = bed.replicator(other)
    _ = try second.plan()
    try bed.change(1)
    _ = try first.run()
    try second.takeOver()
    #expect(try other.create(CreateRequest()).sequence == 3)
  }

  @Test("A forged record and a forged name stop nobody")
  func forged() throws {
    let bed = try ReplicationBed()
    let full = try bed.bed.engine().create(CreateRequest())
    let first = bed.replicator()
    _ = try first.run()
    let archive = try #require(bed.archives().first)
    let folder = try #require(try bed.store.listAll(ListQuery(groupsFolders: true)).folders.first)
    let name = try #require(
      RemoteName(
        chain: 900, sequence: 900, parent: nil, epoch: 1, bytes: 4, hash: archive.hash, archive: archive.archive))
    try bed.store.put("\(folder)\(name.text)", ObjectContent([1, 2, 3, 4]))
    for name in [WriterName(epoch: 2), WriterName(epoch: 3, nonce: 7), WriterName(epoch: 9, nonce: 7)] {
      try bed.store.put("\(folder)\(try #require(name).text)", ObjectContent(Array("{}".utf8)))
    }
    bed.bed.time.advance(seconds: 120)
    let newest = try bed.change(1)
    #expect(try first.run().put.map(\.id) == [newest.id])
    first.forget()
    bed.bed.time.advance(seconds: 120)
    let last = try bed.change(2)
    #expect(try bed.replicator().run().put.map(\.id) == [last.id])
    #expect(full.sequence == 1)
  }

  @Test("A restart after another machine's take-over stops, although that one has stored nothing yet")
  func restartAfterTakeOver() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    _ = try bed.replicator().run()
    let other = try clone(bed)
    bed.bed.time.advance(seconds: 120)
    try bed.replicator(other).takeOver()
    try bed.change(1)
    let stopped = try bed.replicator().run()
    guard case .takenOver(let reason)? = stopped.obstacle else {
      Issue.record("\(stopped)")
      return
    }
    #expect(reason.hasPrefix("clone-host took it over at ") && stopped.put.isEmpty, "\(reason)")
  }

  @Test("Many starts leave few writer records, and a writer that slept meanwhile still stops")
  func boundedRecords() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    let first = bed.replicator()
    _ = try first.run()
    first.rest()
    let other = try clone(bed)
    // The machine sleeps, and its copy goes on.
    for day in 1...12 {
      bed.bed.time.advance(seconds: 86400)
      var request = CreateRequest()
      request.reason.type = .scheduled
      _ = try other.create(request)
      #expect(try bed.replicator(other).run().put.count == 1)
      #expect(try bed.writers().count <= 5, "day \(day)")
    }
    #expect(try bed.writers().map(\.epoch) == [10, 11, 12, 13])
    try bed.change(1)
    let stopped = try first.run()
    #expect(stopped.put.isEmpty && stopped.obstacle?.reason.contains("clone-host") == true, "\(stopped)")
  }

  @Test("A target at rest has no open file, and lists again only if another process wrote to it")
  func rest() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    let replicator = bed.replicator()
    _ = try replicator.run()
    replicator.rest()
    try bed.change(1)
    let next = try replicator.run()
    #expect(next.put.count == 1 && next.requests.lists == 0)
    #expect(throws: HoldfastError.self) { try bed.replicator().run() }
    replicator.rest()
    try bed.change(2)
    #expect(try bed.replicator().run().put.count == 1)
    try bed.change(3)
    let last = try replicator.run()
    #expect(last.put.count == 1 && last.requests.lists == 1)
  }
}
