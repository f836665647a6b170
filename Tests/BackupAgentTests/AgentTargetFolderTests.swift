import BackupEngine
import BackupPolicy
import Glibc
import ObjectStorage
import Replication
import TestSupport
import Testing

@testable import BackupAgent

@Suite("Agent: the folder, the key and the first upload of a target", .ownThread)
struct AgentTargetFolderTests: TargetTests {
  @Test("While the disk of a target is away, nothing is written below it, and all follows when it is back")
  func away() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let target = try target(harness)
    let (path, away) = (harness.folder.path("nas"), harness.folder.path("disk"))
    let files = SystemFileOperations()
    try await harness.withAgent(configuration(harness, [target])) { _ in
      try await waitForCopies(target, harness)
      try files.rename(path, to: away)
      try files.makeFolder(path)
      try await harness.python(insert)
      try await harness.waitForRows(1)
      let alarm = try await alarm("target_missing", harness)
      #expect(alarm.message.contains("is not the folder that this host has copied to"), "\(alarm)")
      #expect(alarm.hint?.contains("holdfast sync nas --new-folder") == true)
      #expect(try files.list(path).isEmpty)
      #expect(rmdir(path) == 0)
      try files.rename(away, to: path)
      try await waitForCalm(harness)
      try await waitForCopies(target, harness)
    }
    #expect(harness.log.count("notice: target nas: its folder is there again") == 1, "\(harness.log.lines)")
    #expect(harness.log.lines.count { $0.hasPrefix("error: ") } == 1, "\(harness.log.lines)")
  }

  @Test("An agent that is stopped in its first upload reports the backups that are missing")
  func stopInFirstUpload() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let target = try target(harness)
    for _ in 0..<2 {
      _ = try harness.engine.create(CreateRequest(AgentHarness.settings().archive, for: BackupReason(.scheduled)))
    }
    let (begun, mayEnd) = (Flag(), Flag())
    let store = SlowStore(FolderStore(harness.folder.path("nas"))) {
      begun.set()
      for _ in 0..<30000 where !mayEnd.isSet { usleep(1000) }
    }
    let agent = configuration(harness, [target], stopGrace: 200)
    try await harness.withAgent(agent, parts: { $0.stores = { _ in store } }) { group in
      try await harness.eventually("a put") { begun.isSet }
      await group.triggerGracefulShutdown()
    }
    #expect(
      harness.log.count("warning: target nas: stopped while 2 backups are not there yet") == 1, "\(harness.log.lines)")
    mayEnd.set()
    try await harness.eventually("the end of the put") { store.running == 0 }
  }

  @Test("Full and changes that disappear while the agent runs are sent again with the next change")
  func gone() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let target = try target(harness)
    try await harness.withAgent(configuration(harness, [target])) { _ in
      try await waitForCopies(target, harness)
      try await harness.python(insert)
      try await harness.waitForRows(1)
      try await waitForCopies(target, harness)
      for object in try FolderStore(harness.folder.path("nas")).listAll(ListQuery()).objects
      where object.key.contains("-full-") { try FolderStore(harness.folder.path("nas")).delete(object.key) }
      try await harness.python(insert)
      try await harness.waitForRows(2)
      try await waitForCopies(target, harness)
    }
    #expect(harness.log.count("warning: target nas: the archive of ") == 1, "\(harness.log.lines)")
  }

  @Test("A wrong key is an alarm at once")
  func wrongKey() throws {
    let harness = try AgentHarness()
    let error = HoldfastError(.wrongKey, "the key does not open it", hint: "use the right one")
    let failure = ShippingFailure(error, of: try target(harness), attempt: 1, random: 0)
    #expect(failure.alarm == .key && failure.error.message == "target nas: the key does not open it")
    #expect(failure.error.code == .wrongKey && failure.error.hint == "use the right one")
  }
}
