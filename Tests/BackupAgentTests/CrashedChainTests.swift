import BackupEngine
import BackupPolicy
import Glibc
import TestSupport
import Testing

@testable import BackupAgent

/// A fault occurs between two incrementals, and the next backup misses nothing.
@Suite(.ownThread) struct CrashedChainTests {
  /// A database in use, a full of it, and the agent's code with file operations that may fail.
  private final class World {
    let bed: TestBed
    let application: DatabaseApplication
    let faults: StepFaults
    var backup: DatabaseWorker

    init(failAt step: Int? = nil, _ fault: Fault = .kill()) throws {
      bed = try TestBed()
      try bed.makeDatabase(rows: 400, bytes: 300)
      application = try DatabaseApplication(bed.database, "PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF")
      let first = Self.agent(bed, UnflushedFileOperations())
      _ = try first.storeChange(Progress()).ending.get()
      faults = StepFaults(failAt: step, fault)
      backup = Self.agent(bed, faults)
    }

    static func agent(_ bed: TestBed, _ files: any FileOperations) -> DatabaseWorker {
      DatabaseWorker(
        bed.engine(files: files), AgentHarness.settings(), LogRecorder().logger, KeptConnection(bed.environment()))
    }

    /// Two incrementals: one from a comparison, one from the tracker.
    func work() throws {
      try store(100)
      try store(200)
    }

    func store(_ id: Int) throws {
      try write(id)
      _ = try backup.storeChange(Progress()).ending.get()
    }

    func write(_ id: Int) throws {
      bed.time.advance(milliseconds: 1000)
      try application.run("UPDATE entries SET text = randomblob(100) WHERE id = \(id)")
    }

    /// Another page changes, and the next backup contains that change and all earlier ones.
    func requireNextPoint(_ fault: String) throws {
      let place = "\(fault) at \(faults.steps.last { $0.hasPrefix("\(faults.firedAt ?? 0) ") } ?? "no step")"
      try write(300)
      guard case .stored(let point) = try backup.storeChange(Progress()).ending.get() else {
        throw HoldfastError(.failed, "\(place): nothing was stored")
      }
      let image = try ChainImage(bed.engine(), point.id).bytes
      guard let objection = try DatabaseTruth(application).objection(to: image) else { return }
      throw HoldfastError(.failed, "\(place): \(objection)")
    }
  }

  /// The steps of the second incremental.
  private func steps(for fault: Fault) throws -> [Int] {
    let world = try World()
    try world.store(100)
    let first = world.faults.count
    try world.store(200)
    let steps = world.faults.places(for: fault).filter { $0 > first }
    try world.requireNextPoint("no fault")
    return steps
  }

  /// These steps include those between an archive and the page digests that follow it.
  @Test func theAgentIsKilledAtAnyStepAndStartsAgain() async throws {
    try await offPool {
      for step in try steps(for: .kill()) {
        let world = try World(failAt: step)
        // A failure after the commit of an archive does not fail the backup.
        try? world.work()
        world.backup = World.agent(world.bed, UnflushedFileOperations())
        _ = try world.backup.assess()
        try world.requireNextPoint("killed")
      }
    }
  }

  /// The same agent continues with the information that it had gathered.
  @Test func anOperationFailsOnceAndTheAgentGoesOn() async throws {
    let (struck, all) = try await offPool {
      let steps = try steps(for: .error(EIO))
      var struck = 0
      for step in steps {
        let world = try World(failAt: step, .error(EIO))
        try? world.work()
        // A run may take one step less than the counted run, because the files' times decide how
        // often it probes.
        guard world.faults.firedAt != nil else { continue }
        struck += 1
        try world.requireNextPoint("failed")
      }
      return (struck, steps.count)
    }
    #expect(struck > all / 2, "\(struck) of \(all)")
  }
}
