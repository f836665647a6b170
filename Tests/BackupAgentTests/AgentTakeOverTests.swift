import BackupEngine
import BackupPolicy
import Glibc
import ObjectStorage
import Replication
import TestSupport
import Testing

@testable import BackupAgent

@Suite("Agent: take-overs and failures of targets", .ownThread)
struct AgentTakeOverTests: TargetTests {
  @Test("After a take-over beside the agent, it makes a full at once and goes on")
  func takeOver() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let target = try target(harness)
    let configuration = configuration(harness, [target]) { $0.pollInterval = 200 }
    let root = harness.folder.path("")
    func shell(_ script: String) throws { #expect(try Shell.run("sh", ["-c", "cd \(root) && \(script)"]).status == 0) }
    try await harness.withAgent(configuration) { _ in try await waitForCopies(target, harness) }
    try shell("mkdir snapshot && cp -a backups state data snapshot/")
    for rows in Int64(1)...2 {
      try await harness.python(insert)
      try await withNextAgent(harness, target) { _ in
        try await harness.waitForRows(rows)
        try await waitForCopies(target, harness)
      }
    }
    let before = try copies(target)
    try shell("rm -r backups state data && cp -a snapshot/* .")
    try await withNextAgent(harness, configuration) { control in
      try await harness.log.wait(for: "error: target nas: it holds backups 2 to 3")
      // So that its ID is not one of the backups that were lost.
      try await Task.sleep(for: .milliseconds(1100))
      try await harness.python(insert)
      try await harness.waitForRows(1)
      try await offPool {
        try Replicator(engine: harness.engine, target: target, store: FolderStore(harness.folder.path("nas")))
          .takeOver()
      }
      try await harness.eventually("a full there") {
        try copies(target) != before && copies(target).last == harness.points().last?.id
      }
      let full = try #require(try harness.points().last)
      #expect(full.kind == .full && full.sequence == 4, "\(full)")
      #expect(try copies(target) == before + [full.id])
      try await harness.python(insert)
      try await harness.waitForRows(2)
      try await harness.eventually("the change there") { try copies(target).last == harness.points().last?.id }
      #expect(try harness.points().last?.parentID == full.id)
      #expect(await control.status().flatMap(\.alarms).isEmpty)
    }
    #expect(harness.log.count("a full backup is due: the target nas was taken over") >= 1, "\(harness.log.lines)")
  }

  @Test("A wrong clock is an alarm of its own, with the difference and a hint")
  func clock() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let target = try target(harness)
    let store = RefusingStore(FolderStore(harness.folder.path("nas")))
    store.refuses.withLock { $0.puts = true }
    store.error.withLock { $0 = .clockSkew(by: 3_600_000) }
    try await harness.withAgent(configuration(harness, [target]), parts: { $0.stores = { _ in store } }) { _ in
      let alarm = try await alarm("clock_wrong", harness)
      // The difference is taken some time after the answer.
      let text = #/target nas: this machine's clock is (1 h|5\d min( \d+ s)?) behind the store's: .*/#
      #expect(alarm.message.wholeMatch(of: text) != nil, "\(alarm)")
      #expect(alarm.hint == "set the clock of this machine: timedatectl set-ntp true")
      #expect(await harness.control.status().flatMap(\.alarms).map(\.kind) == ["clock_wrong"])
      store.refuses.withLock { $0.puts = false }
      harness.control.backUpNow()
      try await waitForCalm(harness)
    }
    #expect(harness.log.count("notice: target nas: this machine's clock agrees with the store's again") == 1)
  }

  @Test("A folder that is missing is looked for, and a bucket is not")
  func missingFolder() throws {
    let harness = try AgentHarness()
    let folder = try target(harness)
    #expect(folder.requiredFolder == harness.folder.path("nas"))
    let bucket = try Target(name: "s3", address: "s3://bucket/x", settings: folder.settings)
    let error = StoreError(.noContainer, "it is not there")
    #expect(bucket.requiredFolder == nil)
    #expect(ShippingFailure(error, of: folder, attempt: 1, random: 0).isFolderMissing)
    #expect(!ShippingFailure(error, of: bucket, attempt: 1, random: 0).isFolderMissing)
    #expect(!ShippingFailure(StoreError(.denied, "no"), of: folder, attempt: 1, random: 0).isFolderMissing)
  }

  @Test("More targets than threads take turns, each in its order, and a slow one delays the others of one thread alone")
  func turns() throws {
    let harness = try AgentHarness()
    let inbox = try Mailbox<LoopMessage>(blocking: true)
    let threads = TargetThreads(limit: 2)
    defer { threads.close() }
    let files = SystemFileOperations()
    let lanes = (1...20).map { number in
      TargetLane(TargetID(database: DatabaseID(number: 1), number: number), threads, inbox) {
        fatalError("no run is asked for")
      }
    }
    for lane in lanes {
      lane.checkFolders([harness.folder.path("")], files)
      lane.checkFolders([harness.folder.path("none")], files)
      try lane.end()
    }
    var seen: [Int: [String]] = [:]
    for _ in 0..<60 {
      switch inbox.next() {
      case .folderChecked(let id, let isThere): seen[id.number, default: []].append(isThere ? "there" : "gone")
      case .targetEnded(let id): seen[id.number, default: []].append("end")
      default: Issue.record("another message")
      }
    }
    for number in 1...20 { #expect(seen[number] == ["there", "gone", "end"]) }
  }
}
