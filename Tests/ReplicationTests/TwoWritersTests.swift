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
    let full = try other.create(CreateRequest())
    // Its number is behind all that the target holds.
    #expect(full.sequence == 3)
    #expect(try second.run().put.map(\.id) == [full.id])
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
}
