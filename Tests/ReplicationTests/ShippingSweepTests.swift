import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication
import TestSupport
import Testing

/// Every fault at every request of a run.
@Suite("Shipping through a faulty network", .ownThread)
struct ShippingSweepTests {
  /// The work of a run.
  enum Load: Sendable, CaseIterable {
    case incremental, partsOfAFull, firstUse

    func bed() throws -> SweepBed {
      switch self {
      case .incremental: try SweepBed(shipped: 1, unshipped: 1)
      case .partsOfAFull: try SweepBed(partSize: 2500, shipped: nil, unshipped: 0)
      case .firstUse: try SweepBed(shipped: nil, unshipped: 1)
      }
    }
  }

  /// If a connection ends before any byte of an answer, libcurl sends the request again.
  private static func faults(of request: FaultProxy.Request) -> [FaultProxy.Fault] {
    let always: [FaultProxy.Fault] = [
      .cut(.executed), .cut(.answer), .refuse(status: 503, code: "SlowDown"),
      .misreport(status: 500, code: "InternalError"),
    ]
    return always + (request.hasBody ? [.cut(.body)] : []) + (request.method == "GET" ? [.shorten] : [])
  }

  @Test("After any fault at any request, the next run ends with every backup there once", arguments: Load.allCases)
  func sweep(load: Load) throws {
    let bed = try load.bed()
    try bed.reset()
    bed.prepare(nil)
    _ = try bed.run()
    let requests = bed.proxy.requests
    try bed.checkBucket()
    #expect(requests.count >= 4, "\(requests)")
    for (index, request) in requests.enumerated() {
      for fault in Self.faults(of: request) {
        try bed.reset()
        bed.prepare(fault, at: index + 1)
        try check(bed, "\(load), \(fault) at request \(index + 1), \(request)")
      }
    }
  }

  /// A run with the prepared fault, and one without.
  private func check(_ bed: SweepBed, _ name: Comment) throws {
    let run = Result { try bed.run() }
    #expect(bed.proxy.hasFailed, name)
    switch run {
    case .failure(let error): #expect(error is StoreError, name)
    // A run that reports success has put everything.
    case .success(let outcome):
      #expect(outcome.obstacle == nil && outcome.unsent == nil, name)
      try bed.checkBucket()
    }
    bed.prepare(nil)
    let replicator = try bed.replicator()
    _ = try bed.run(replicator)
    #expect(try replicator.plan().steps.isEmpty && bed.run(replicator).put.isEmpty, name)
    try bed.checkBucket()
    let restored = try bed.restore()
    #expect(restored.isRight, name)
  }

  @Test("If the same process tries again after a fault, everything is there once", arguments: Load.allCases)
  func sameProcess(load: Load) throws {
    let bed = try load.bed()
    try bed.reset()
    bed.prepare(nil)
    _ = try bed.run()
    let count = bed.proxy.requests.count
    for number in 1...count {
      for fault in [FaultProxy.Fault.cut(.answer), .misreport(status: 503, code: "ServiceUnavailable")] {
        try bed.reset()
        bed.prepare(fault, at: number)
        let replicator = try bed.replicator()
        do {
          _ = try bed.run(replicator)
        } catch is StoreError {
          _ = try bed.run(replicator)
        }
        #expect(try replicator.plan().steps.isEmpty, "\(load), \(fault) at request \(number)")
        try bed.checkBucket()
      }
    }
    #expect(try bed.restore().isRight)
  }

  @Test(
    "A store that falls silent ends the run, and the next one completes it", arguments: FaultProxy.Moment.allCases)
  func stalls(moment: FaultProxy.Moment) throws {
    let bed = try SweepBed(shipped: 1, unshipped: 1)
    try bed.reset()
    bed.prepare(nil)
    _ = try bed.run()
    let count = bed.proxy.requests.count
    try bed.reset()
    bed.prepare(.stall(moment), at: count)
    let error = #expect(throws: StoreError.self) { _ = try bed.run(bed.replicator(bed.store(stallLimit: 1000))) }
    #expect(error?.kind == .unreachable && bed.proxy.hasFailed)
    bed.prepare(nil)
    _ = try bed.run()
    try bed.checkBucket()
    #expect(try bed.restore().isRight)
  }
}
