import BackupEngine
import BackupPolicy
import TestSupport
import Testing

@testable import BackupAgent

/// What an agent knows of the alarms of the one before it, with virtual time.
@Suite struct AlarmMemoryTests {
  private let harness: AgentHarness
  private let file: AlarmFile

  init() throws {
    harness = try AgentHarness()
    file = AlarmFile(harness.engine)
  }

  private func alarm(_ kind: String, since: Int64, subject: String? = nil) -> OpenAlarm {
    OpenAlarm(
      OpenAlarm.Key(database: nil, kind: kind, subject: subject), since: Timestamp(milliseconds: since),
      message: "\(kind) \u{e9}\n", hint: nil)
  }

  /// - Parameters:
  ///   - start: monotonic.
  ///   - wall: milliseconds.
  private func memory(start: Int64 = 0, wall: Int64 = 1_000_000) -> AlarmMemory {
    AlarmMemory(file, at: Moment(wall: Timestamp(milliseconds: wall), monotonic: start), harness.log.logger)
  }

  private var kept: [OpenAlarm] { file.load().map(\.alarm) }

  @Test("The next agent knows since when an alarm lasts, once and for a while")
  func patience() throws {
    let (disk, target) = (alarm("disk_full", since: 7), alarm("target_denied", since: 8, subject: "nas"))
    try file.save([disk, target].map { RememberedAlarm($0) })
    var memory = memory(start: 1000)
    #expect(memory.deadline == 2000)
    memory.handleTime(at: 2000) { [] }
    #expect(memory.deadline == 301_000)
    #expect(memory.take(disk.key) == disk && memory.take(disk.key) == nil)
    #expect(memory.take(alarm("key", since: 0).key) == nil)
    #expect(memory.deadline == 1_201_000)
    memory.handleTime(at: 1_200_999) { [disk] }
    #expect(kept == [disk, target])
    memory.handleTime(at: 1_201_000) { [disk] }
    #expect(memory.take(target.key) == nil && memory.deadline == nil && kept == [disk])
  }

  @Test("Agents that restart often forget an alarm as soon as one that goes on, and a clock set back does not matter")
  func restarts() throws {
    let disk = alarm("disk_full", since: 7)
    try file.save([RememberedAlarm(disk)])
    for wall in stride(from: Int64(1_000_000), to: 1_300_000, by: 100_000) {
      var memory = memory(wall: wall)
      memory.handleTime(at: 1000) { [] }
      #expect(memory.deadline == 1_300_000 - wall)
    }
    var back = memory(wall: 500_000)
    #expect(back.deadline == 1000 && back.take(disk.key) == disk)
    var late = memory(wall: 1_300_000)
    #expect(late.take(disk.key) == nil)
    late.handleTime(at: 1000) { [] }
    #expect(kept.isEmpty && late.deadline == nil)
  }

  @Test("The file has what lasts and what may last, and is written a second after a change")
  func saving() throws {
    let (old, new) = (alarm("locked", since: 1), alarm("key", since: 2))
    try file.save([RememberedAlarm(old)])
    var memory = memory()
    memory.handleTime(at: 1000) { [] }
    memory.recordChange(at: 1500)
    memory.recordChange(at: 1900)
    #expect(memory.deadline == 2500)
    memory.handleTime(at: 2499) { [new] }
    #expect(kept == [old])
    memory.handleTime(at: 2500) { [new] }
    #expect(kept == [new, old] && memory.deadline == 300_000)
    memory.forget(old.key, at: 3000)
    memory.save([])
    #expect(kept.isEmpty)
  }

  @Test("What ended is forgotten: a condition, or all of a target")
  func forgetting() throws {
    let alarms = [
      alarm("disk_full", since: 1), alarm("target_denied", since: 2, subject: "nas"),
      alarm("target_denied", since: 3, subject: "s3"), alarm("target_full", since: 4, subject: "nas"),
    ]
    try file.save(alarms.map { RememberedAlarm($0) })
    var memory = memory()
    memory.forget(alarms[0].key, at: 0)
    memory.forget(target: "nas", at: 0)
    memory.handleTime(at: 1000) { [] }
    #expect(kept == [alarms[2]])
  }

  @Test("A write that fails is tried again a minute later, and at the end")
  func failedWrite() throws {
    let state = harness.folder.path("state")
    try harness.folder.write("state", [])
    var memory = memory()
    memory.recordChange(at: 0)
    memory.handleTime(at: 1000) { [alarm("key", since: 1)] }
    #expect(memory.deadline == 61_000 && kept.isEmpty)
    try SystemFileOperations().unlink(state)
    #expect(memory.save([alarm("key", since: 1)]) && kept.count == 1)
  }

  @Test(
    "A file that is damaged or of another version is as none",
    arguments: [
      "", "{", "[]", #"{"version":2,"alarms":[]}"#, #"{"version":1,"alarms":[7,{}]}"#,
      #"{"version":1,"alarms":[{"alarm":{"kind":"key","since":"0001-11-30T02:34:40.507Z","message":"m"}}]}"#,
    ])
  func damaged(text: String) throws {
    try file.save([RememberedAlarm(alarm("key", since: 1))])
    let name = try #require(SystemFileOperations().list(harness.folder.path("state/alarms")).first)
    try harness.folder.write("state/alarms/\(name)", Array(text.utf8))
    #expect(kept.isEmpty)
    var memory = memory()
    #expect(memory.deadline == nil)
    memory.save([alarm("locked", since: 2)])
    #expect(kept.count == 1)
  }
}
