import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication
import TestSupport
import Testing

/// A mount point whose disk is away looks like an empty folder.
@Suite("The folder of a target is recognised by its mark", .ownThread)
struct FolderMarkTests {
  private let bed: ReplicationBed
  private let files = SystemFileOperations()

  init() throws {
    bed = try ReplicationBed()
    _ = try bed.bed.engine().create(CreateRequest())
  }

  private var place: String { bed.bed.folder.path("nas") }

  private func swap(_ present: String, for next: String?) throws {
    try files.rename(place, to: bed.bed.folder.path(present))
    guard let next else { return try files.makeFolder(place) }
    try files.rename(bed.bed.folder.path(next), to: place)
  }

  private func expectRefusal(_ replicator: Replicator) {
    do {
      _ = try replicator.run()
      Issue.record("it wrote to another folder")
    } catch {
      let known = error as? HoldfastError
      #expect(known?.code == .refused && known?.message.hasPrefix("target nas: \(place) is not the folder") == true)
      #expect(known?.hint?.contains("holdfast sync nas --new-folder") == true)
      let marks = (known?.cause as? AbsentFolder)?.places
      #expect(marks?.count == 1 && marks?[0].hasPrefix("\(place)/") == true, "\(error)")
    }
  }

  private func isEmpty() throws -> Bool { try files.list(place).isEmpty }

  @Test("While the disk is away, nothing is written, and then the running agent goes on where it was")
  func away() throws {
    let replicator = bed.replicator()
    _ = try replicator.run()
    try swap("disk", for: nil)
    let newest = try bed.change(1)
    for _ in 0..<2 { expectRefusal(replicator) }
    expectRefusal(bed.replicator())
    #expect(throws: HoldfastError.self) { try bed.replicator().plan() }
    #expect(throws: HoldfastError.self) { try bed.replicator().requireFolder() }
    #expect(throws: HoldfastError.self) { try bed.replicator().takeOver() }
    #expect(try isEmpty())
    try files.rename(place, to: bed.bed.folder.path("empty"))
    try files.rename(bed.bed.folder.path("disk"), to: place)
    #expect(try replicator.run().put.map(\.id) == [newest.id])
    #expect(try bed.restored(newest.id) == bed.bed.image())
    #expect(try bed.writers().count == 2)
  }

  @Test("A direct put of a new backup is refused also")
  func direct() throws {
    let replicator = bed.replicator()
    _ = try replicator.run()
    #expect(try replicator.run(stored: [bed.change(1)]).put.count == 1)
    try swap("disk", for: nil)
    let point = try bed.change(2)
    #expect(throws: HoldfastError.self) { try replicator.run(stored: [point]) }
    #expect(try isEmpty())
  }

  @Test("A folder that is accepted gets everything, and both disks are known from then on")
  func accepted() throws {
    _ = try bed.replicator().run()
    try swap("first", for: nil)
    let replicator = bed.replicator()
    try replicator.acceptFolder()
    #expect(try replicator.run().put.count == 1)
    for number in 1...4 {
      let newest = try bed.change(number)
      let (present, next) = number % 2 == 1 ? ("second", "first") : ("first", "second")
      try swap(present, for: next)
      // No false alarm about the records that this machine wrote to the other disk.
      let outcome = try replicator.run()
      #expect(outcome.obstacle == nil && outcome.put.contains { $0.id == newest.id }, "\(outcome)")
      #expect(try bed.restored(newest.id) == bed.bed.image())
    }
  }

  @Test("A host that remembers nothing takes the mark that it finds")
  func lostMemo() throws {
    _ = try bed.replicator().run()
    try files.rename(bed.bed.folder.path("state/targets"), to: bed.bed.folder.path("state/lost"))
    #expect(try bed.replicator().run().put.isEmpty)
    try swap("disk", for: nil)
    expectRefusal(bed.replicator())
  }

  @Test("Only a folder can be accepted")
  func bucket() throws {
    var target = bed.target
    target = try Target(name: "s3", address: "s3://bucket/x?region=eu-west-1", settings: target.settings)
    let replicator = Replicator(engine: bed.bed.engine(), target: target, store: MemoryStore(hasConditions: true))
    #expect(throws: HoldfastError.self) { try replicator.acceptFolder() }
    try replicator.requireFolder()
  }
}
