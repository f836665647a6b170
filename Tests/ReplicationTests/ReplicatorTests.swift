import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication
import Synchronization
import TestSupport
import Testing
import Transfer

@Suite("Copies of backups in a target", .ownThread)
struct ReplicatorTests {
  @Test("A full and each change are put once, and restore on another host")
  func changes() throws {
    let bed = try ReplicationBed()
    let full = try bed.bed.engine().create(CreateRequest())
    let replicator = bed.replicator()
    #expect(try replicator.run().put.map(\.id) == [full.id])
    let image = try bed.bed.image()
    for number in 1...3 {
      let point = try bed.change(number)
      let outcome = try replicator.run()
      #expect(outcome.put.map(\.id) == [point.id] && outcome.put[0].parent == Int64(number))
      // The look is older than a minute only for the first.
      #expect(outcome.requests.puts == 1 && outcome.requests.gets == 0)
    }
    #expect(try replicator.run().put.isEmpty)
    #expect(try bed.archives().count == 4 && bed.writers().count == 1)
    #expect(try bed.restored(full.id) == image)
    #expect(try bed.restored(try #require(bed.archives().max()).id) == bed.bed.image())
  }

  @Test("A backlog is sent as one archive, and the change before it stays restorable")
  func backlog() throws {
    let bed = try ReplicationBed(interval: 3_600_000)
    _ = try bed.bed.engine().create(CreateRequest())
    let replicator = bed.replicator()
    _ = try replicator.run()
    for number in 1...5 { try bed.change(number) }
    let waiting = try replicator.run()
    #expect(waiting.put.isEmpty && waiting.next != nil, "\(waiting.plan.steps)")
    bed.bed.time.advance(seconds: 3600)
    let outcome = try replicator.run()
    #expect(outcome.put.count == 1 && outcome.put[0].parent == 1 && outcome.put[0].sequence == 6)
    #expect(try bed.restored(outcome.put[0].id) == bed.bed.image())
  }

  @Test("A restarted agent lists the target and sends nothing twice, also without its memo")
  func restart() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    try bed.change(1)
    #expect(try bed.replicator().run().put.count == 2)
    let again = try bed.replicator().run()
    #expect(again.put.isEmpty && again.requests.puts == 0)
    try SystemFileOperations().rename(bed.bed.folder.path("state/targets"), to: bed.bed.folder.path("state/lost"))
    #expect(try bed.replicator().run().put.isEmpty)
    #expect(try bed.archives().count == 2)
  }

  @Test("A writer that can only put is not superseded by its own earlier records, also without its memo")
  func blind() throws {
    var bed = try ReplicationBed()
    bed.target.settings.access = .writeOnly
    _ = try bed.bed.engine().create(CreateRequest())
    for number in 1...3 {
      try bed.change(number)
      _ = try bed.replicator().run()
    }
    try SystemFileOperations().rename(bed.bed.folder.path("state/targets"), to: bed.bed.folder.path("state/lost"))
    let fourth = try bed.change(4)
    _ = try bed.replicator().run()
    #expect(try bed.read(.latest) == bed.bed.restored(fourth.id))
    let fifth = try bed.change(5, after: 7200)
    _ = try bed.replicator().run()
    #expect(try bed.read(.latest) == bed.bed.restored(fifth.id))
  }

  @Test("A name without encryption beside encrypted backups is no backup of another machine")
  func plainName() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    _ = try bed.replicator().run()
    let repository = try #require(try bed.store.listAll(ListQuery()).objects.first?.key.split(separator: "/").first)
    let epoch = try #require(try bed.writers().first?.epoch)
    let archive = try #require(ArchiveName("backup_20261129_235900.db"))
    let name = try #require(
      RemoteName(chain: 999, sequence: 999, parent: nil, epoch: epoch, bytes: 3, hash: 1, archive: archive))
    try bed.store.put("\(repository)/\(name.text)", ObjectContent([1, 2, 3]))
    try bed.change(1)
    let outcome = try bed.replicator().run()
    #expect(outcome.obstacle == nil && outcome.put.count == 1)
  }

  @Test("However often the agent was started, a start reads only the newest writer record")
  func records() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    _ = try bed.replicator().run()
    for number in 1...4 {
      try bed.change(number)
      let requests = try bed.replicator().run().requests
      #expect(requests == RequestCount(puts: 2, gets: 1, lists: 1, deletes: 0), "\(requests)")
    }
    #expect(try bed.writers().count == 5)
    // Another disk at the same path has other records under the same names.
    let paths = try Shell.run("find", [bed.bed.folder.path("nas"), "-path", "*/writers/*"]).stdout
    for path in paths.split(separator: "\n") {
      #expect(try Shell.run("touch", ["-d", "1 hour ago", String(path)]).status == 0)
    }
    try bed.change(5)
    #expect(try bed.replicator().run().requests.gets == 5)
  }

  @Test("Objects that are lost or cut off a moment after their put are put again", arguments: [true, false])
  func lost(isCutOff: Bool) throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    let newest = try bed.change(1)
    #expect(try bed.replicator().run().put.count == 2)
    let full = try #require(bed.store.listAll(ListQuery()).objects.first { $0.key.hasSuffix(".db.gz.enc") })
    let path = "\(bed.bed.folder.path("nas"))/\(full.key)"
    if isCutOff {
      #expect(try Shell.run("truncate", ["-s", "100", path]).status == 0)
    } else {
      try SystemFileOperations().unlink(path)
    }
    #expect(try bed.replicator().run().put.first.map { $0.parent == nil } == true)
    #expect(try bed.restored(newest.id) == bed.bed.image())
  }

  @Test("An empty disk in place of the mounted one gets everything again, if a person accepts it")
  func emptyDisk() throws {
    let bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
    let replicator = bed.replicator()
    _ = try replicator.run()
    try SystemFileOperations().rename(bed.bed.folder.path("nas"), to: bed.bed.folder.path("old"))
    try SystemFileOperations().makeFolder(bed.bed.folder.path("nas"))
    let newest = try bed.change(1)
    #expect(throws: HoldfastError.self) { try replicator.run() }
    #expect(try bed.archives().isEmpty)
    try replicator.acceptFolder()
    #expect(try replicator.run().put.count == 2)
    #expect(try bed.restored(newest.id) == bed.bed.image())
  }

  @Test("An object that is gone when its header is read is noticed at once")
  func goneHeader() throws {
    let bed = try ReplicationBed()
    let engine = bed.bed.engine()
    let full = try engine.create(CreateRequest())
    _ = try bed.replicator().run()
    bed.bed.time.advance(seconds: 7200)
    _ = try engine.create(CreateRequest())
    // Only a list knows the first full.
    _ = try engine.delete(full.id.text)
    try SystemFileOperations().rename(bed.bed.folder.path("state/targets"), to: bed.bed.folder.path("state/lost"))
    let replicator = bed.replicator()
    #expect(try replicator.plan().unread.map(\.id) == [full.id])
    let object = try #require(bed.store.listAll(ListQuery()).objects.first { $0.key.contains(full.id.text) })
    try bed.store.delete(object.key)
    let outcome = try replicator.run()
    #expect(outcome.put.count == 1 && outcome.requests.lists == 1, "\(outcome)")
  }

  @Test("An archive that nothing proves is read once, and rules remove neither it nor others because of it")
  func forgedName() throws {
    let bed = try ReplicationBed(retention: RetentionPolicy(keepLast: 1))
    _ = try bed.bed.engine().create(CreateRequest())
    _ = try bed.replicator().run()
    let full = try #require(bed.archives().first)
    let forged = try #require(
      RemoteName(
        chain: full.chain, sequence: full.sequence + 1, parent: full.sequence, epoch: full.epoch, bytes: 9, hash: 7,
        archive: ArchiveName("backup_20240101_000000.pages.gz.enc")!))
    let key = try #require(bed.store.listAll(ListQuery()).objects.map(\.key).first { $0.hasSuffix(full.text) })
    try bed.store.put(
      String(key.dropLast(full.text.count)) + forged.text, ObjectContent([UInt8](repeating: 1, count: 9)))
    let replicator = bed.replicator()
    #expect(try replicator.run().plan.unread == [forged])
    let again = try replicator.run()
    #expect(again.plan.unread.isEmpty && again.requests.gets == 0 && again.removed.isEmpty, "\(again)")
    #expect(try Set(bed.archives()) == [full, forged])
  }

  @Test("After an outage the target is listed once, because objects may be gone")
  func listAfterOutage() throws {
    let bed = try ReplicationBed()
    let store = FlakyStore(bed.store)
    _ = try bed.bed.engine().create(CreateRequest())
    let replicator = Replicator(engine: bed.bed.engine(), target: bed.target, store: store)
    _ = try replicator.run()
    bed.bed.time.advance(seconds: 7200)
    let full = try #require(bed.store.listAll(ListQuery()).objects.first { $0.key.hasSuffix(".db.gz.enc") })
    try bed.change(1)
    store.failure.withLock { $0 = .unreachable }
    for _ in 0..<2 {
      #expect(throws: StoreError.self) { try replicator.run() }
      bed.bed.time.advance(seconds: 300)
    }
    try bed.store.delete(full.key)
    store.failure.withLock { $0 = nil }
    let recovered = try replicator.run()
    #expect(recovered.put.count == 2 && recovered.requests.lists == 1, "\(recovered)")
    // A short failure is no reason.
    bed.bed.time.advance(seconds: 7200)
    try bed.change(2)
    store.failure.withLock { $0 = .unavailable }
    #expect(throws: StoreError.self) { try replicator.run() }
    store.failure.withLock { $0 = nil }
    #expect(try replicator.run().requests.lists == 0)
  }
}

/// A store of which every call fails for a while.
private final class FlakyStore: ObjectStore {
  private let base: any ObjectStore
  let failure = Mutex<StoreError.Kind?>(nil)

  init(_ base: any ObjectStore) { self.base = base }

  private func check() throws(StoreError) {
    if let kind = failure.withLock({ $0 }) { throw StoreError(kind, "the test wants it") }
  }

  func put(_ key: String, _ content: ObjectContent, _ options: PutOptions) throws(StoreError) {
    try check()
    try base.put(key, content, options)
  }

  func get(_ key: String, range: Range<Int64>?, into sink: HTTPSink) throws(StoreError) -> ObjectData {
    try check()
    return try base.get(key, range: range, into: sink)
  }

  func head(_ key: String) throws(StoreError) -> ObjectInfo? {
    try check()
    return try base.head(key)
  }

  func list(_ query: ListQuery) throws(StoreError) -> ListPage {
    try check()
    return try base.list(query)
  }

  func delete(_ key: String) throws(StoreError) {
    try check()
    try base.delete(key)
  }

  func abandon(_ upload: UploadState) throws(StoreError) { try base.abandon(upload) }
}
