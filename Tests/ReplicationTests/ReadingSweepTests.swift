import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication
import TestSupport
import Testing

@Suite("Reading through a faulty network", .ownThread)
struct ReadingSweepTests {
  private static let faults: [FaultProxy.Fault] = [
    .cut(.start), .cut(.executed), .cut(.answer), .refuse(status: 503, code: "SlowDown"), .shorten, .flip,
  ]

  /// Faults that a client can notice: the others look like answers of the store.
  private static func isNoticed(_ fault: FaultProxy.Fault) -> Bool { fault != .flip }

  private static func bed() throws -> SweepBed {
    let bed = try SweepBed(shipped: 2, unshipped: 0)
    try bed.reset()
    return bed
  }

  @Test("A restore with any fault at any request fails or brings the right content")
  func restore() throws {
    let bed = try Self.bed()
    let newest = try #require(bed.archives().max()?.id)
    bed.prepare(nil)
    #expect(try bed.restore().id == newest)
    let requests = bed.proxy.requests
    #expect(requests.count >= 5, "\(requests)")
    for (index, request) in requests.enumerated() {
      for fault in Self.faults {
        bed.prepare(fault, at: index + 1)
        let name = "\(fault) at request \(index + 1), \(request)"
        do {
          let restored = try bed.restore()
          #expect(restored.isRight, "\(name)")
          if Self.isNoticed(fault) { #expect(restored.id == newest, "\(name)") }
        } catch let error as HoldfastError {
          let isExpected = [.ioError, .failed, .verificationFailed].contains(error.code)
          #expect(isExpected || !Self.isNoticed(fault), "\(name): \(error)")
        }
        #expect(bed.proxy.hasFailed, "\(name)")
      }
    }
    bed.prepare(nil)
    #expect(try bed.restore().isRight)
  }

  @Test("A backup that another machine's record supersedes is never the newest, whatever cannot be read")
  func superseded() throws {
    let bed = try SweepBed(shipped: 0, unshipped: 1)
    try bed.reset()
    bed.prepare(nil)
    let stale = try bed.replicator()
    _ = try stale.run()
    let newest = try #require(bed.archives().max()?.id)
    try bed.clone().takeOver()
    // The stale machine looked for other records less than a minute ago.
    try bed.addChange()
    #expect(try stale.run().put.count == 1)
    bed.prepare(nil)
    #expect(try bed.restore().id == newest)
    let count = bed.proxy.requests.count
    for number in 1...count {
      for fault in [FaultProxy.Fault.cut(.start), .cut(.answer), .refuse(status: 500, code: "InternalError")] {
        bed.prepare(fault, at: number)
        do {
          #expect(try bed.restore().id == newest, "\(fault) at request \(number)")
        } catch let error as HoldfastError {
          #expect(error.code == .ioError, "\(fault) at request \(number): \(error)")
        }
      }
    }
  }

  @Test("If each request may be sent again, a fault of the network costs nothing")
  func retries() throws {
    let bed = try Self.bed()
    let newest = try #require(bed.archives().max()?.id)
    bed.prepare(nil)
    _ = try bed.restore()
    let count = bed.proxy.requests.count
    for number in 1...count {
      for fault in [FaultProxy.Fault.cut(.start), .cut(.answer), .refuse(status: 503, code: "SlowDown")] {
        bed.prepare(fault, at: number)
        let restored = try bed.restore(.latest, bed.store(attempts: 4))
        #expect(restored.isRight && restored.id == newest, "\(fault) at request \(number)")
        #expect(bed.proxy.requests.count > count)
      }
    }
  }

  @Test("A list of all backups with any fault at any request fails or is complete")
  func list() throws {
    let bed = try Self.bed()
    let ids = Set(try bed.archives().map(\.id))
    func backups() throws -> Set<PointID> {
      var environment = bed.bed.environment()
      environment.stateFolder = bed.bed.folder.path("reader-state")
      let reader = try RemoteReader(
        BackupSources([BackupSource(address: "s3", store: bed.store())]), TestBed.credentials(.key), environment,
        RemoteReaderOptions(), progress: Progress())
      defer { reader.folder.remove() }
      let repository = try reader.open()
      try repository.listAll()
      return Set(repository.contents.candidates.map(\.id))
    }
    bed.prepare(nil)
    #expect(try backups() == ids)
    let count = bed.proxy.requests.count
    for number in 1...count {
      for fault in Self.faults where Self.isNoticed(fault) {
        bed.prepare(fault, at: number)
        do {
          #expect(try backups() == ids, "\(fault) at request \(number)")
        } catch let error as HoldfastError {
          #expect(error.code == .ioError || error.code == .failed, "\(fault) at request \(number): \(error)")
        }
      }
    }
  }

  @Test("A store that falls silent in an archive is asked for the rest of it")
  func stall() throws {
    let bed = try Self.bed()
    bed.prepare(nil)
    _ = try bed.restore()
    let count = bed.proxy.requests.count
    bed.prepare(.stall(.answer), at: count)
    let restored = try bed.restore(.latest, bed.store(stallLimit: 1000))
    #expect(restored.isRight && bed.proxy.requests.count == count + 1)
  }
}
