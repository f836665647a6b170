import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication
import TestSupport
import Testing

/// With another key, the backups of this repository look like forged ones.
@Suite("Copies with a wrong key", .ownThread)
struct WrongKeyTests {
  @Test("Nothing is sent, nothing is removed, and no writer record is written")
  func wrongKey() throws {
    var keeping = try ReplicationBed()
    for _ in 0..<3 {
      keeping.bed.time.advance(seconds: 3600)
      _ = try keeping.bed.engine().create(CreateRequest())
    }
    _ = try keeping.replicator().run()
    try keeping.change(1)
    keeping.target.settings.retention = RetentionPolicy(keepLast: 1)
    let bed = keeping
    let before = try bed.store.listAll(ListQuery()).objects
    let other = bed.bed.engine(Credentials(key: SecretBytes(Array(repeating: 7, count: 32))))
    let replicator = bed.replicator(other)
    let actions: [() throws -> Void] = [{ _ = try replicator.run() }, { _ = try replicator.plan() }]
    for action in actions {
      do {
        try action()
        Issue.record("it used a wrong key")
      } catch let error as HoldfastError {
        #expect(error.code == .wrongKey && error.hint != nil, "\(error)")
      }
    }
    #expect(throws: HoldfastError.self) { try bed.replicator(other).takeOver() }
    let summary = try bed.replicator(other).summary()
    #expect(summary.keyProblem?.code == .wrongKey && summary.unsent?.count == 1 && summary.lag != .upToDate)
    #expect(try bed.store.listAll(ListQuery()).objects == before)
    #expect(try bed.replicator().summary().keyProblem == nil)
    #expect(try bed.replicator().run().put.count == 1)
  }

  @Test("A foreign archive in the repository stops no copy")
  func forged() throws {
    let bed = try ReplicationBed()
    let full = try bed.bed.engine().create(CreateRequest())
    let other = try ReplicationBed()
    other.bed.time.advance(seconds: 3600)
    let forged = try other.bed.engine(Credentials(key: SecretBytes(Array(repeating: 7, count: 32)))).create(
      CreateRequest())
    #expect(try Shell.run("cp", ["\(other.bed.backups)/\(forged.filename)", bed.bed.backups]).status == 0)
    #expect(try bed.replicator().run().put.map(\.id) == [full.id])
  }
}
