import BackupEngine
import BackupPolicy
import FoundationEssentials
import Glibc
import TestSupport
import Testing

@testable import BackupAgent

/// What is wrong without any event: the newest backup is removed, and events do not arrive.
@Suite("Losses that no event reports", .ownThread)
struct LostBackupTests {
  /// Runs an agent that polls often.
  ///
  /// - Parameter body: gets the first backup.
  private func withAgent(
    poll milliseconds: Int64, _ body: (AgentHarness, PointMetadata) async throws -> Void
  ) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    var configuration = harness.configuration()
    configuration.databases[0].settings.pollInterval = milliseconds
    try await harness.withAgent(configuration) { _ in
      try await harness.eventually("the first backup") { await harness.control.status().first?.lastPoint != nil }
      try await body(harness, #require(try harness.points().last))
    }
  }

  @Test("If the newest backup is removed beside the agent, another one is made without a write")
  func removedBackup() async throws {
    try await withAgent(poll: 500) { harness, first in
      try FileManager.default.removeItem(atPath: "\(harness.backups)/\(first.filename)")
      try await harness.eventually("another backup") {
        try harness.engine.list().contains { $0.obstacle == nil && $0.id != first.id }
      }
      let newest = try harness.engine.list().first { $0.obstacle == nil }?.id
      try await harness.eventually("its name in the status") {
        await harness.control.status().first?.lastPoint == newest
      }
    }
  }

  @Test("If the folder of backups is away for a while, its newest backup is known again", arguments: [false, true])
  func folderAway(hasEmptyOne: Bool) async throws {
    try await withAgent(poll: 300) { harness, first in
      let files = SystemFileOperations()
      try files.rename(harness.backups, to: harness.backups + ".away")
      if hasEmptyOne { try files.makeFolder(harness.backups) }
      try await harness.eventually("an alarm") { await harness.control.status().first?.alarms.isEmpty == false }
      #expect(await harness.control.status().first?.lastPoint == first.id)
      try await Task.sleep(for: .seconds(1))
      if hasEmptyOne { try files.rename(harness.backups, to: harness.backups + ".empty") }
      try files.rename(harness.backups + ".away", to: harness.backups)
      try await harness.eventually("no alarm") { await harness.control.status().first?.alarms.isEmpty == true }
      let newest = try harness.engine.list().first { $0.obstacle == nil }?.id
      #expect(await harness.control.status().first?.lastPoint == newest)
    }
  }

  @Test("A look finds when the first write came, although the files show the last one")
  func firstUnsaved() throws {
    let bed = try TestBed()
    let newest = PointID("backup_20240101_000000")
    let first = FirstUnsaved("/srv/app.db", bed.environment())
    func time(_ seconds: Int64) -> Timestamp { Timestamp(milliseconds: seconds * 1000) }
    #expect(first.record(time(100), after: newest) == time(100))
    #expect(first.record(time(700), after: newest) == time(100))
    // Another database, and the time after another backup.
    #expect(FirstUnsaved("/srv/b.db", bed.environment()).record(time(650), after: newest) == time(650))
    #expect(first.record(time(710), after: PointID("backup_20240101_000600")) == time(710))
    first.forget()
    #expect(first.record(time(900), after: newest) == time(900))
    // A clock that was set back makes no write older than it is.
    #expect(first.record(time(50), after: newest) == time(50))
  }

  @Test("A request whose client has ended is not carried out")
  func endedClient() throws {
    for waits in [true, false] {
      var ends: [Int32] = [0, 0]
      // A process that another test starts meanwhile must not hold the client's end.
      let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | O_CLOEXEC
      #expect(socketpair(AF_UNIX, type, 0, &ends) == 0)
      var connection = ControlConnection(id: 1, descriptor: ends[0], at: 0)
      let line = Array("{\"version\":1,\"command\":\"pause\",\"milliseconds\":60000}\n".utf8)
      #expect(write(ends[1], line, line.count) == line.count)
      if !waits { close(ends[1]) }
      let request = connection.receive()
      #expect((request != nil) == waits && connection.isOver != waits)
      if waits { close(ends[1]) }
      connection.end()
    }
  }
}
