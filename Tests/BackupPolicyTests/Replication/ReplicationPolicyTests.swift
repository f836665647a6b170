import TestSupport
import Testing

@testable import BackupPolicy

@Suite("Plans for a target")
struct ReplicationPolicyTests {
  private static func target(_ change: (inout TargetSettings) -> Void = { _ in }) -> TargetSettings {
    var target = TargetSettings(name: "nas", retention: RetentionPolicy(RetentionRules()))
    change(&target)
    return target
  }

  /// A full and changes with a second between them.
  private static func history(
    changes: Int, _ change: (inout TargetSettings) -> Void = { _ in }
  ) -> TargetHistory {
    var history = TargetHistory(target(change))
    history.add(.scheduled, after: 1, full: true)
    for _ in 0..<changes { history.add(.change, after: 1) }
    return history
  }

  private static func number(_ put: ReplicationPut) -> [Int64] { [put.sequence, put.parentSequence ?? -1] }

  @Test("The newest backup goes first, with all changes since the full in one archive")
  func newestFirst() {
    var history = Self.history(changes: 5)
    let puts = history.plan.puts
    #expect(puts.map(Self.number) == [[0, -1], [5, 0]])
    #expect(puts[1].merged == history.points[1...4].map(\.id))
    #expect(puts[1].isNewest)
    #expect(puts[1].reason == "the newest backup")
    #expect(history.sync() == nil)
    #expect(history.plan.steps.isEmpty)
    #expect(history.plan.unsent == nil)
  }

  @Test("A backup that is lost from the target is unsent although a newer one is there")
  func unsentGap() {
    var history = Self.history(changes: 4) { ($0.interval, $0.thins) = (0, false) }
    #expect(history.sync() == nil && history.plan.unsent == nil)
    history.loseObject(3)
    let plan = history.plan
    #expect(plan.owed == [history.points[3].id])
    #expect(plan.unsent == UnsentBackups(count: 1, oldest: plan.owed[0], since: history.points[3].created))
    guard case .behind = LagPolicy().decide(plan.unsent, now: history.now) else {
      Issue.record("the target is not behind")
      return
    }
    #expect(history.sync() == nil && history.plan.unsent == nil)
  }

  @Test("After an outage the older backups are unsent until each is there")
  func unsentBacklog() {
    var history = Self.history(changes: 0)
    #expect(history.sync() == nil)
    for _ in 0..<60 { history.add(.change, after: 1) }
    #expect(history.plan.unsent?.count == 60 && history.plan.unsent?.since == history.points[1].created)
    // The newest backup first: the changes of the others are there then, and some of them are owed.
    #expect(history.sync(failingAt: 1) == nil)
    let left = history.plan
    #expect(left.unsent?.count == 5 && left.owed.count == 5)
    #expect(left.unsent?.oldest == left.owed.first)
    #expect(history.sync() == nil && history.plan.unsent == nil)
  }

  @Test("A change is one put, and none follows within the interval")
  func interval() {
    var history = Self.history(changes: 0)
    #expect(history.sync() == nil)
    history.add(.change, after: 60)
    #expect(history.plan.puts.map(Self.number) == [[1, 0]])
    #expect(history.sync() == nil)
    history.add(.change, after: 4)
    let due = history.now.adding(seconds: 6)
    #expect(history.plan.steps == [.wait(until: due, reason: "one backup every 10 s is sent")])
    #expect(history.plan.unsent?.count == 1)
    history.add(.change, after: 6)
    #expect(history.plan.puts.map(Self.number) == [[3, 1]])
    #expect(history.plan.puts[0].merged.count == 1)
  }

  @Test("A change behind the newest backup is the same put with a plan and without one")
  func direct() throws {
    for interval in [Int64(0), 10_000] {
      var history = Self.history(changes: 2) { $0.interval = interval }
      #expect(history.plan.head?.sequence == 2)
      #expect(history.sync() == nil)
      let head = try #require(history.plan.head)
      let first = history.add(.change, after: 60)
      #expect(history.policy.puts(of: history.points.suffix(1), behind: head) == history.plan.puts)
      history.add(.change, after: 1)
      let puts = try #require(history.policy.puts(of: history.points.suffix(2), behind: head))
      #expect(puts.map(Self.number) == (interval == 0 ? [[3, 2], [4, 3]] : [[4, 2]]))
      #expect(puts.last?.merged == (interval == 0 ? [] : [first]))
      #expect(history.policy.puts(of: history.points.suffix(3), behind: head) == nil)
      history.add(.scheduled, after: 1, full: true)
      #expect(history.policy.puts(of: history.points.suffix(3), behind: head) == nil)
    }
  }

  @Test("With interval 0 every change is put, the newest first and the others in their order")
  func everyChange() {
    var history = Self.history(changes: 4) { $0.interval = 0 }
    #expect(history.plan.puts.map(Self.number) == [[0, -1], [4, 0], [1, 0], [2, 1], [3, 2]])
    #expect(history.sync() == nil)
    #expect(history.plan.steps.isEmpty)
  }

  @Test("After an outage the backups in between follow, one an interval")
  func outage() {
    var history = Self.history(changes: 35)
    #expect(history.plan.puts.map(Self.number) == [[0, -1], [35, 0], [15, 0], [25, 15]])
    #expect(history.sync() == nil)
    #expect(history.plan.steps.isEmpty)
  }

  @Test("Requested backups are sent however near others are")
  func requested() {
    var history = Self.history(changes: 2)
    history.add(.manual, after: 1)
    history.add(.change, after: 1) { $0.point.tags = ["release"] }
    history.add(.change, after: 1)
    #expect(history.plan.puts.map(Self.number) == [[0, -1], [5, 0], [3, 0], [4, 3]])
  }

  @Test("Without a key to merge, archives are sent as they are")
  func unmergeable() {
    var history = Self.history(changes: 3) { $0.canMerge = false }
    #expect(history.plan.puts.map(Self.number) == [[0, -1], [1, 0], [2, 1], [3, 2]])
    #expect(history.plan.puts.map(\.merged.count) == [0, 0, 0, 0])
    #expect(history.sync() == nil)
    #expect(history.plan.steps.isEmpty)
  }

  @Test("The merged archive is put before what it replaces is removed, the newest first")
  func thinning() {
    var history = Self.history(changes: 0) { $0.interval = 0 }
    for _ in 0..<10 {
      history.add(.change, after: 3)
      #expect(history.sync() == nil)
    }
    history.add(.change, after: 7200)
    #expect(history.sync() == nil)
    #expect(history.plan.steps.isEmpty)
    history.life.thin(by: nil, now: history.now)
    let plan = history.plan
    #expect(plan.puts.map(Self.number) == [[10, 0]])
    #expect(plan.puts[0].merged.isEmpty)
    #expect(plan.removals.map(\.sequence) == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
    #expect(history.sync() == nil)
    #expect(history.plan.steps.isEmpty)
    #expect(history.complete == Set(history.points.map(\.id)))
  }

  @Test("What was deleted here stays there", arguments: TargetAccess.allCases)
  func deletion(access: TargetAccess) {
    var history = Self.history(changes: 30) { $0.access = access }
    #expect(history.sync() == nil)
    let there = history.complete
    history.delete(history.points[0].id)
    #expect(history.points.isEmpty)
    #expect(history.plan.steps.isEmpty)
    #expect(history.complete == there)
  }

  @Test("The target's own rules remove whole chains, after the puts, and only with full access")
  func retention() {
    for access in TargetAccess.allCases {
      var history = Self.history(changes: 1) {
        $0.retention = RetentionPolicy(keepLast: 1)
        $0.access = access
      }
      #expect(history.sync() == nil)
      history.add(.scheduled, after: 86400, full: true)
      let plan = history.plan
      #expect(plan.puts.map(Self.number) == [[2, -1]])
      #expect(plan.removals.map(\.sequence) == (access == .full ? [1, 0] : []))
      #expect(history.sync() == nil)
      #expect(history.plan.steps.isEmpty)
    }
  }

  @Test("A locked target is neither thinned nor cleaned up")
  func locked() {
    var history = Self.history(changes: 3) {
      $0.isLocked = true
      $0.retention = RetentionPolicy(keepLast: 1)
    }
    #expect(history.sync() == nil)
    history.add(.scheduled, after: 86400, full: true)
    #expect(history.plan.removals.isEmpty)
  }

  @Test("A full whose header was not read stays until it is")
  func unread() {
    var history = Self.history(changes: 0) { $0.retention = RetentionPolicy(keepLast: 1) }
    #expect(history.sync() == nil)
    history.delete(history.points[0].id)
    history.add(.scheduled, after: 86400, full: true)
    history.loseInventory()
    #expect(history.plan.removals.isEmpty)
    #expect(history.plan.unread.map(\.sequence) == [0])
    history.readHeads()
    #expect(history.plan.removals.map(\.sequence) == [0])
  }

  @Test("A tagged incremental that only a list shows stays, and its header is read for the rules")
  func unreadTags() {
    var history = Self.history(changes: 0) {
      $0.retention = RetentionPolicy(keepLast: 1)
      $0.retention.rules.keepTags = [["release"]]
    }
    history.add(.change, after: 60) { $0.point.tags = ["release"] }
    #expect(history.sync() == nil)
    history.add(.scheduled, after: 86400, full: true)
    #expect(history.sync() == nil)
    history.delete(history.points[0].id)
    #expect(history.plan.steps.isEmpty && history.plan.unread.isEmpty)
    history.loseInventory()
    #expect(history.plan.removals.isEmpty)
    #expect(history.plan.unread.map(\.sequence) == [0, 1])
    history.readHeads()
    #expect(history.plan.removals.isEmpty && history.plan.unread.isEmpty)
  }

  @Test("Names that nothing proves push out no backup, and some are read in each run, each once")
  func forgedNames() {
    var history = Self.history(changes: 0) { $0.retention.rules.keepDaily = 3 }
    for _ in 0..<2 { history.add(.scheduled, after: 86400, full: true) }
    #expect(history.sync() == nil)
    let forged = Self.forged(450, on: history.points[2], now: history.now)
    var facts = history.facts
    facts.inventory.reconcile(Array(facts.inventory.archives.keys) + forged, now: facts.time)
    for part in [0..<200, 200..<400, 400..<450] {
      let plan = history.policy.plan(facts)
      #expect(plan.removals.isEmpty)
      #expect(plan.unread == Array(forged[part]))
      facts.unprovable.formUnion(plan.unread)
    }
    let plan = history.policy.plan(facts)
    #expect(plan.removals.isEmpty && plan.unread.isEmpty)
  }

  /// Names of incrementals on a full, each of another day: anyone who can write to the target can write them.
  private static func forged(_ count: Int64, on full: Point, now: Timestamp) -> [RemoteName] {
    (1...count).compactMap { day in
      let archive = ArchiveName(
        id: PointID(at: now.adding(seconds: day * 86400)), content: .pages, compressed: true, encrypted: true)
      let sequence = full.sequence ?? 0
      return RemoteName(
        chain: sequence, sequence: sequence + day, parent: sequence, epoch: 0, bytes: 100, hash: UInt64(day),
        archive: archive)
    }
  }

  @Test("Backups whose archives cannot be read now, and those that need them, are unsent, with the reason")
  func unreadable() {
    var history = Self.history(changes: 0) { $0.interval = 0 }
    #expect(history.sync() == nil)
    for _ in 0..<2 { history.add(.change, after: 1) }
    let points = history.points
    let plan = Self.plan(history, unreadable: 1)
    #expect(plan.puts.isEmpty)
    #expect(plan.unsent == UnsentBackups(count: 2, oldest: points[1].id, since: points[1].created))
    #expect(
      plan.skipped.map(\.reasons) == [
        ["its archive cannot be read now"], ["it needs \(points[1].id), which cannot be sent"],
      ])
    guard case .behind = LagPolicy().decide(plan.unsent, now: history.now.adding(seconds: 3600)) else {
      Issue.record("the target is not behind")
      return
    }
    // Those that are there are not missing.
    #expect(history.sync() == nil)
    for place in points.indices { #expect(Self.plan(history, unreadable: place).unsent == nil) }
  }

  @Test("A backup that cannot be read now is not missing once a newer one is there, also if its number is unknown")
  func unreadableOlder() {
    var history = Self.history(changes: 1)
    #expect(history.sync() == nil)
    let near = history.add(.change, after: 1)
    #expect(Self.plan(history, unreadable: 2).unsent?.oldest == near)
    #expect(Self.plan(history, unreadable: 2, isNumberKnown: false).unsent?.oldest == near)
    #expect(Self.plan(history, unreadable: 1, isNumberKnown: false).unsent?.oldest == near)
    history.add(.scheduled, after: 5, full: true)
    history.now = history.now.adding(seconds: 60)
    #expect(history.sync() == nil)
    #expect(history.plan.owed.isEmpty && !history.complete.contains(near))
    for isNumberKnown in [true, false] {
      #expect(Self.plan(history, unreadable: 2, isNumberKnown: isNumberKnown).unsent == nil)
    }
  }

  /// The plan while the machine does not show an archive.
  private static func plan(
    _ history: TargetHistory, unreadable place: Int, isNumberKnown: Bool = true
  ) -> ReplicationPlan {
    var facts = history.facts
    (facts.points[place].isUnreadable, facts.points[place].status) = (true, .failed)
    if !isNumberKnown { facts.points[place].sequence = nil }
    return history.policy.plan(facts)
  }

  @Test("A backup that failed here keeps its copy there")
  func damaged() {
    var history = Self.history(changes: 0) { $0.retention = RetentionPolicy(keepLast: 5) }
    #expect(history.sync() == nil)
    var facts = history.facts
    facts.points[0].status = .failed
    let plan = history.policy.plan(facts)
    #expect(plan.steps.isEmpty)
    #expect(plan.lost.isEmpty)
  }

  @Test("Failed backups and those without a sequence are skipped with a reason")
  func skipped() {
    let history = Self.history(changes: 2)
    var facts = history.facts
    facts.points[1].status = .failed
    let plan = history.policy.plan(facts)
    #expect(plan.puts.map(Self.number) == [[0, -1]])
    #expect(plan.skipped.map(\.reasons) == [["it failed"], ["it needs \(facts.points[1].id), which cannot be sent"]])
    facts.points[0].sequence = nil
    #expect(history.policy.plan(facts).puts.isEmpty)
    #expect(history.policy.plan(facts).skipped.first?.reasons == ["it has no sequence number"])
  }

  @Test("Foreign backups stop everything, and a store that failed rests; both still report what is owed")
  func obstacles() {
    let history = Self.history(changes: 1)
    var facts = history.facts
    facts.rest = ReplicationRest(until: facts.time.adding(seconds: 5), reason: "the store failed")
    #expect(
      history.policy.plan(facts).steps == [.wait(until: facts.time.adding(seconds: 5), reason: "the store failed")])
    facts.obstacle = "another machine writes"
    #expect(history.policy.plan(facts).steps == [.stop(reason: "another machine writes")])
    #expect(history.policy.plan(facts).owed.count == 2)
    facts.obstacle = nil
    facts.rest?.until = facts.time
    #expect(history.policy.plan(facts).puts.count == 2)
  }

  @Test("What a target does not have yet stays here for 7 days, and is removed first if space is short")
  func awaited() {
    var history = Self.history(changes: 0)
    history.add(.scheduled, after: 86400, full: true)
    let points = history.points
    let awaited = history.policy.awaited(history.plan, points, now: history.now)
    #expect(awaited == [points[0].id: ["not yet on nas"], points[1].id: ["not yet on nas"]])
    var rules = RetentionPolicy(keepLast: 1)
    let kept = rules.decide(points, now: history.now, awaited: awaited)
    #expect(kept.remove.isEmpty)
    #expect(kept.keep[0].reasons == ["not yet on nas"])
    #expect(rules.decide(points, now: history.now).remove.map(\.id) == [points[0].id])
    rules.minFreeSpace = .bytes(500)
    let short = rules.decide(
      points, now: history.now, space: SpaceFacts(free: 100, capacity: 10_000), awaited: awaited)
    #expect(short.remove.map(\.id) == [points[0].id])
    let late = history.now.adding(seconds: 7 * 86400)
    #expect(Array(history.policy.awaited(history.plan, points, now: late).keys) == [points[1].id])
  }

  @Test("What the target lost is put again while it is here")
  func repair() {
    var history = Self.history(changes: 0) { $0.interval = 0 }
    for _ in 0..<3 {
      history.add(.change, after: 1)
      #expect(history.sync() == nil)
    }
    history.loseObject(2)
    #expect(history.plan.puts.map(Self.number) == [[3, 0]])
    #expect(history.plan.removals.map(\.sequence) == [3, 1])
    #expect(history.plan.lost.isEmpty)
    #expect(history.sync() == nil)
    #expect(history.plan.steps.isEmpty)
  }

  @Test("A gap under a backup that is no longer here is filled, or the backup is reported as lost")
  func gap() {
    var history = Self.history(changes: 3) { $0.thins = false }
    history.policy.target.canMerge = false
    #expect(history.sync() == nil)
    history.delete(history.points[3].id)
    history.loseObject(2)
    #expect(history.plan.puts.map(Self.number) == [[2, 1]])
    #expect(history.plan.lost.isEmpty)
    let lost = history.points[2].id
    history.delete(lost)
    #expect(history.plan.puts.isEmpty)
    #expect(history.plan.lost.count == 1)
  }

  @Test("Superseded backups do not count, and are removed when all that is kept is newer")
  func superseded() {
    var history = Self.history(changes: 0) { $0.retention = RetentionPolicy(keepLast: 1) }
    #expect(history.sync() == nil)
    history.add(.change, after: 100)
    #expect(history.sync() == nil)
    history.line = WriterLine([
      WriterRecord(WriterName(epoch: 1)!, baseSequence: 0, host: "web-2", started: history.now)
    ])
    history.now = history.now.adding(seconds: 60)
    #expect(history.plan.superseded.map(\.sequence) == [1])
    #expect(history.plan.removals.isEmpty)
    #expect(history.sync() == nil)
    history.add(.scheduled, after: 86400, full: true)
    #expect(history.plan.removals.map(\.sequence) == [1, 0, 1])
  }
}
