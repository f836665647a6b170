import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication
import TestSupport
import Testing

/// Somebody, or a rule of the bucket, removes objects while the agent runs.
@Suite("Archives that are gone from a target in use", .ownThread)
struct GoneArchiveTests {
  enum Loss: String, CaseIterable { case full, parent, other, everything }

  /// A full and three changes in a store in memory, put by a running replicator.
  private func bed() throws -> (ReplicationBed, MemoryStore, Replicator) {
    let store = MemoryStore(hasConditions: true)
    let bed = try ReplicationBed(store: store)
    _ = try bed.bed.engine().create(CreateRequest())
    let replicator = bed.replicator()
    _ = try replicator.run()
    for number in 1...3 { _ = try replicator.run(stored: [bed.change(number)]) }
    return (bed, store, replicator)
  }

  private func lose(_ loss: Loss, _ store: MemoryStore) {
    let points = store.objects.keys.filter { $0.contains("/points/") }.sorted()
    let keys: [String] =
      switch loss {
      case .full: [points[0]]
      case .parent: [points[3]]
      case .other: [points[1]]
      case .everything: Array(store.objects.keys)
      }
    for key in keys { store.lose(key) }
  }

  @Test("A minute later they are missed, and sent again", arguments: Loss.allCases)
  func bucket(loss: Loss) throws {
    let (bed, store, replicator) = try bed()
    lose(loss, store)
    var requests = RequestCount()
    for number in 4...6 {
      let newest = try bed.change(number, after: 61)
      let outcome = try replicator.run(stored: [newest])
      requests = requests + outcome.requests
      #expect(outcome.put.last?.id == newest.id || outcome.put.contains { $0.id == newest.id }, "\(outcome)")
    }
    let last = try #require(bed.archives().max())
    #expect(try bed.restored(last.id) == bed.bed.image())
    #expect(try bed.archives().count == 7 && bed.writers().count == 1)
    #expect(requests.lists >= 1 && requests.lists <= 2, "\(requests)")
  }

  @Test("A minute with uploads asks for the next writer record and three archives, and lists nothing")
  func requests() throws {
    let (bed, _, replicator) = try bed()
    #expect(try replicator.run(stored: [bed.change(4)]).requests == RequestCount(puts: 1))
    #expect(try replicator.run(stored: [bed.change(5, after: 61)]).requests == RequestCount(puts: 1, gets: 4))
    #expect(try replicator.run(stored: [bed.change(6)]).requests == RequestCount(puts: 1))
  }

  @Test("In a folder the next put misses the full and the backup before it", arguments: [Loss.full, .parent])
  func folder(loss: Loss) throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    let replicator = bed.replicator()
    _ = try replicator.run()
    for number in 1...3 { _ = try replicator.run(stored: [bed.change(number)]) }
    let keys = try bed.store.listAll(ListQuery()).objects.map(\.key).filter { $0.contains("/points/") }
    try bed.store.delete(loss == .full ? keys[0] : keys[3])
    let newest = try bed.change(4)
    let outcome = try replicator.run(stored: [newest])
    #expect(outcome.put.contains { $0.id == newest.id } && outcome.requests.lists == 1, "\(outcome)")
    #expect(try bed.restored(newest.id) == bed.bed.image())
  }

  @Test("Beside an agent, a plan is made without its lock, and a run names the agent")
  func besideAgent() throws {
    let store = MemoryStore(hasConditions: true)
    let bed = try ReplicationBed(store: store)
    _ = try bed.bed.engine().create(CreateRequest())
    let agent = Replicator(engine: bed.bed.engine(), target: bed.target, store: store, isAgent: true)
    _ = try agent.run()
    let sound = try bed.replicator().plan()
    #expect(sound.steps.isEmpty && sound.gone.isEmpty && sound.broken.isEmpty)
    lose(.full, store)
    let before = store.objects
    let newest = try bed.change(1)
    for _ in 0..<2 {
      let plan = try bed.replicator().plan()
      #expect(plan.gone.count == 1 && plan.puts.count == 2, "\(plan)")
    }
    #expect(store.objects == before)
    do {
      _ = try bed.replicator().run()
      Issue.record("two processes write to one target")
    } catch let error as HoldfastError {
      #expect(error.code == .busy && error.message.hasPrefix("the agent (process "), "\(error)")
      #expect(error.hint?.contains("holdfast sync nas lets it do so now") == true, "\(error)")
    }
    bed.bed.time.advance(seconds: 61)
    #expect(try agent.run().put.map(\.id).contains(newest.id))
  }
}
