import Testing

@testable import BackupPolicy

/// A scheduled run that finds no database. The machine starts at 01:59:59 (UTC), and a character is 100 ms.
@Suite struct TriggerAbsenceTests {
  private func diagram(_ mode: TriggerMode, _ outcomes: [Outcome]) throws -> TriggerDiagram {
    var diagram = TriggerDiagram(
      TriggerSettings(mode: mode, schedules: try TriggerTimes.schedules(["0 2 * * *"])), outcomes: outcomes)
    diagram.origin = TriggerTimes.utc("2026-11-23 01:59:59")
    return diagram
  }

  @Test(arguments: [TriggerMode.schedule, .hybrid])
  func theRunIsMadeUpWhenTheDatabaseIsBack(mode: TriggerMode) throws {
    var diagram = try diagram(mode, [.absent, .absent])
    #expect(
      diagram.run("--------------------c-------c-------", startup: false)
        == "----------C---------C-------C-------")
    #expect(diagram.starts.last?.reason.hasPrefix("the database was not there: ") == true)
    #expect(diagram.violations.isEmpty && diagram.skips.isEmpty)
    #expect(diagram.machine.status.pending.isEmpty)
  }

  @Test func nothingIsTriedUntilThen() throws {
    var diagram = try diagram(.schedule, [.absent])
    #expect(diagram.run(String(repeating: "-", count: 3000), startup: false).count { $0 == "C" } == 1)
    #expect(diagram.machine.status.pending.map(\.trigger) == [.scheduled])
    // The next run of the calendar tries again, and both are one run.
    diagram.advance(by: TriggerTimes.day)
    #expect(diagram.starts.count == 2 && diagram.machine.status.pending.isEmpty)
  }

  @Test func aDatabaseThatCameBackDuringTheAttemptIsTriedAtOnce() throws {
    var diagram = try diagram(.schedule, [.absent])
    #expect(
      diagram.run("-----------c---------", startup: false)
        == "----------C-C--------")
  }

  @Test func aRequestTriesAgain() throws {
    var diagram = try diagram(.schedule, [.absent])
    #expect(
      diagram.run("--------------r------", startup: false)
        == "----------C---C------")
  }

  @Test func theEndDoesNotWaitForIt() throws {
    var diagram = try diagram(.schedule, [.absent])
    #expect(
      diagram.run("--------------x------", startup: false)
        == "----------C---X------")
  }

  @Test func aChangeIsNotPendingWithoutADatabase() throws {
    var diagram = try diagram(.change, [.absent])
    #expect(
      diagram.run("c-------------------------------", startup: false)
        == "-----S--------------------------")
    #expect(diagram.machine.status.pending.isEmpty)
  }
}
