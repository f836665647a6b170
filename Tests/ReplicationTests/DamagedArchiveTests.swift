import BackupEngine
import BackupPolicy
import Glibc
import ObjectStorage
import Replication
import TestSupport
import Testing

/// Archives that are damaged, here or in the target, and chains that continue after a deletion.
@Suite("Damaged archives and continued chains in a target", .ownThread)
struct DamagedArchiveTests {
  private let bed: ReplicationBed

  init() throws { bed = try ReplicationBed() }

  private func path(_ name: RemoteName) throws -> String {
    let key = try #require(try bed.store.listAll(ListQuery()).objects.map(\.key).first { $0.hasSuffix(name.text) })
    return bed.bed.folder.path("nas") + "/" + key
  }

  private func areWhole() throws -> Bool {
    try bed.archives().allSatisfy { try SystemFileOperations().status(path($0))?.size == $0.bytes }
  }

  @Test("An archive that was cut off in the target is put again under its name, and stays")
  func cutOff() throws {
    _ = try bed.bed.engine().create(CreateRequest())
    let replicator = bed.replicator()
    _ = try replicator.run()
    try bed.change(1)
    _ = try replicator.run()
    let names = try bed.archives()
    for name in names {
      let file = try path(name)
      let size = try #require(try SystemFileOperations().status(file)).size
      #expect(truncate(file, off_t(size) - 9) == 0)
      replicator.listsFirst = true
      let outcome = try replicator.run()
      #expect(outcome.put.map(\.id).contains(name.id) && outcome.removed.isEmpty, "\(outcome)")
      #expect(try Set(bed.archives().map(\.id)) == Set(names.map(\.id)) && areWhole())
    }
    #expect(try bed.restored(names[1].id) == bed.bed.image())
  }

  @Test("The newest backup is the one with the highest number, also if an older chain has it")
  func continuedChain() throws {
    _ = try bed.bed.engine().create(CreateRequest())
    try bed.change(1)
    bed.bed.time.advance(seconds: 10)
    let deleted = try bed.bed.engine().create(CreateRequest())
    let replicator = bed.replicator()
    _ = try replicator.run()
    _ = try bed.bed.engine().delete(deleted.id.text)
    let newest = try bed.change(2)
    _ = try replicator.run()
    let last = try #require(bed.archives().max { $0.sequence < $1.sequence })
    #expect(try last.id == newest.id && bed.archives().contains { $0.chain > last.chain }, "the chain went on")
    #expect(try bed.read(.latest) == bed.bed.image())
  }

  @Test("A damaged archive here keeps no other backup from being sent, and is reported")
  func damagedHere() throws {
    let first = try bed.bed.engine().create(CreateRequest())
    let rotten = try bed.change(1)
    let after = try bed.change(2)
    bed.bed.time.advance(seconds: 10)
    let full = try bed.bed.engine().create(CreateRequest())
    let newest = try bed.change(3)
    var bytes = try #require(try bed.bed.folder.read("backups/\(rotten.filename)"))
    bytes[bytes.count / 2] ^= 1
    try bed.bed.folder.write("backups/\(rotten.filename)", bytes)
    let replicator = bed.replicator()
    let outcome = try replicator.run()
    #expect(Set(outcome.put.map(\.id)) == [first.id, full.id, newest.id], "\(outcome.put)")
    #expect(outcome.plan.blocked == [rotten.id, after.id] && outcome.unsent == nil)
    #expect(try bed.read(.latest) == bed.bed.image())
    // A full that is damaged keeps the newest backups away, which must be known.
    var other = try #require(try bed.bed.folder.read("backups/\(full.filename)"))
    other[other.count / 2] ^= 1
    try bed.bed.folder.write("backups/\(full.filename)", other)
    let store = MemoryStore(hasConditions: true)
    let fresh = try Replicator(engine: bed.bed.engine(), target: bed.target(named: "s3"), store: store).run()
    #expect(fresh.put.map(\.id) == [first.id] && fresh.unsent?.count == 4, "\(fresh)")
  }
}

extension ReplicationBed {
  /// Another target for the same repository.
  fileprivate func target(named name: String) throws -> Target {
    try Target(name: name, address: "s3://bucket", settings: TargetSettings(name: name, retention: RetentionPolicy()))
  }
}
