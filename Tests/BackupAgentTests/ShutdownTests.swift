import Testing

@testable import BackupAgent

@Suite struct ShutdownTests {
  @Test func theLastProbeComesOnceAndAfterTheMachine() {
    var shutdown = Shutdown()
    func next() -> Shutdown.Step { shutdown.nextStep() }
    #expect(next() == .wait && !shutdown.isStopping)
    shutdown.begin(needsProbe: true)
    #expect(next() == .wait && shutdown.isStopping)
    shutdown.machineStopped()
    #expect(next() == .probe && !shutdown.isOver)
    #expect(next() == .end && shutdown.isOver)
    #expect(next() == .wait && shutdown.isStopping)
  }

  @Test func aBackupFindsWhatTheProbeWouldFind() {
    var shutdown = Shutdown()
    func next() -> Shutdown.Step { shutdown.nextStep() }
    shutdown.begin(needsProbe: true)
    shutdown.backupBegins()
    shutdown.machineStopped()
    #expect(next() == .end)
  }

  @Test func aBackupThatIsTriedAgainEndsWithoutAProbe() {
    var shutdown = Shutdown()
    func next() -> Shutdown.Step { shutdown.nextStep() }
    func resume() -> Bool { shutdown.resume() }
    #expect(!resume())
    #expect(!shutdown.isStopping)
    shutdown.begin(needsProbe: false)
    shutdown.machineStopped()
    #expect(next() == .end && shutdown.isOver)
    #expect(resume())
    #expect(next() == .wait && shutdown.isStopping && !shutdown.isOver)
    shutdown.machineStopped()
    #expect(next() == .end && shutdown.isOver)
    #expect(!resume())
  }

  @Test func whatIsAbandonedIsNotProbed() {
    var shutdown = Shutdown()
    func next() -> Shutdown.Step { shutdown.nextStep() }
    shutdown.abandon()
    #expect(!shutdown.isAbandoned)
    shutdown.begin(needsProbe: true)
    shutdown.abandon()
    shutdown.machineStopped()
    #expect(shutdown.isAbandoned && next() == .end)
  }
}

@Suite struct YieldingTests {
  @Test func onlyABackupThatReadsYields() {
    var yielding = Yielding()
    func isDecided() -> Bool { yielding.consumeDecision() }
    yielding.recordClose(at: 10)
    #expect(yielding.deadline == nil)
    yielding.beginReading()
    #expect(yielding.deadline == nil)
    yielding.recordClose(at: 20)
    #expect(yielding.deadline == 20 + Yielding.quiet)
    yielding.calm()
    #expect(yielding.deadline == nil)
    yielding.recordClose(at: 30)
    yielding.endReading()
    #expect(yielding.deadline == nil && !isDecided())
  }

  /// The report that everything was read may arrive after the decision.
  @Test func theDecisionIsAskedForOnce() {
    var yielding = Yielding()
    func isDecided() -> Bool { yielding.consumeDecision() }
    yielding.beginReading()
    yielding.recordClose(at: 20)
    yielding.decide()
    yielding.endReading()
    #expect(yielding.deadline == nil && isDecided() && !isDecided())
  }
}
