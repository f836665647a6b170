@testable import BackupPolicy
import Testing

@Suite("Full or incremental")
struct ChainPolicyTests {
  private static let parent = PointID("backup_20231116_143022")!

  private func facts(
    _ requested: RequestedKind = .automatic, _ type: BackupType = .change,
    _ change: (inout ChainFacts) -> Void = { _ in }
  ) -> ChainFacts {
    var facts = ChainFacts(
      requested: requested, backupType: type, protection: .aes256GCM,
      parent: ParentFacts(
        Point(id: Self.parent, created: Timestamp(milliseconds: 0), status: .verified, pageSize: 4096),
        protection: .aes256GCM, databasePath: "/srv/app.db"),
      database: DatabaseShape(path: "/srv/app.db", pageSize: 4096, pageCount: 10))
    change(&facts)
    return facts
  }

  @Test("A change gives an incremental and every other trigger a full, unless the request says otherwise")
  func kinds() {
    let incremental = ChainDecision.incremental(parent: Self.parent, reason: "the database changed")
    #expect(ChainPolicy.decide(facts()) == incremental)
    for type in [BackupType.scheduled, .manual, .safety, .guard] {
      #expect(ChainPolicy.decide(facts(.automatic, type)) == .full(reason: "\(type) backups are full"))
    }
    #expect(ChainPolicy.decide(facts { $0.parent?.point.status = .anomalous }) == incremental)
    #expect(ChainPolicy.decide(facts(.full)) == .full(reason: "a full was asked for"))
    #expect(
      ChainPolicy.decide(facts(.incremental, .manual))
        == .incremental(parent: Self.parent, reason: "an incremental was asked for"))
  }

  static let objections: [(String, @Sendable (inout ChainFacts) -> Void)] = [
    ("there is no backup to build on", { $0.parent = nil }),
    ("is not authenticated", { $0.parent?.point.status = .unauthenticated }),
    ("is failed", { $0.parent?.point.status = .failed }),
    ("is suspect", { $0.parent?.point.status = .suspect }),
    ("is not protected in the same way", { $0.protection = .none }),
    ("is not protected in the same way", { $0.parent?.protection = .none }),
    ("aes-256-cbc has fulls only", { $0.protection = .aes256CBC }),
    ("cannot be built on: it needs another", { $0.parent?.chainProblem = "it needs another" }),
    ("belongs to another repository", { $0.parent?.isOfThisRepository = false }),
    ("was stored under another key", { $0.parent?.isUnderOurKey = false }),
    ("has no digest", { $0.parent?.hasDigest = false }),
    ("was stored before a target was taken over", { $0.parent?.isBeforeTakeOver = true }),
    ("has another page size", { $0.database?.pageSize = 8192 }),
    ("was made when the database had another path", { $0.database?.path = "/srv/other.db" }),
    ("has pages, but the database is empty", { $0.database?.pageCount = 0 }),
  ]

  @Test("One unmet condition makes a change a full, and the reason names the condition", arguments: objections.indices)
  func objection(_ index: Int) {
    let (words, change) = Self.objections[index]
    for requested in [RequestedKind.automatic, .incremental] {
      guard case .full(let reason) = ChainPolicy.decide(facts(requested, .change, change)) else {
        Issue.record("\(words): an incremental")
        continue
      }
      #expect(reason.hasSuffix(words))
    }
  }

  @Test("Before the database is read, only the parent counts")
  func withoutDatabase() {
    guard case .incremental = ChainPolicy.decide(facts { $0.database = nil }) else {
      Issue.record("a full")
      return
    }
  }

  @Test("A full is advised when the incrementals exceed half of it, and never sooner")
  func advice() {
    var weight = ChainWeight(full: Self.parent, fullBytes: 1000, incrementals: 3, incrementalBytes: 500)
    #expect(ChainPolicy.adviseFull(weight) == nil)
    weight.incrementalBytes = 501
    let advice = ChainPolicy.adviseFull(weight)
    #expect(advice?.reason.contains(Self.parent.text) == true && advice?.reason.contains("3 incrementals") == true)
    #expect(advice?.urgency == .whenQuiet && advice?.chain == Self.parent)
    // The changes of a small database are never urgent.
    weight.incrementalBytes = ChainPolicy.light
    #expect(ChainPolicy.adviseFull(weight)?.urgency == .whenQuiet)
    weight.incrementalBytes += 1
    #expect(ChainPolicy.adviseFull(weight)?.urgency == .soon)
    weight = ChainWeight(full: Self.parent, fullBytes: 5 << 20, incrementals: 3, incrementalBytes: 10 << 20)
    #expect(ChainPolicy.adviseFull(weight)?.urgency == .whenQuiet)
    weight.incrementalBytes += 1
    #expect(ChainPolicy.adviseFull(weight)?.urgency == .soon)
    weight = ChainWeight(full: Self.parent, fullBytes: 1000, incrementals: 999, incrementalBytes: 1)
    #expect(ChainPolicy.adviseFull(weight) == nil)
    weight.incrementals = 1000
    #expect(ChainPolicy.adviseFull(weight)?.urgency == .whenQuiet)
    weight.incrementals = 2000
    #expect(ChainPolicy.adviseFull(weight)?.urgency == .soon)
    // However large the chain is, a change is an incremental.
    #expect(ChainPolicy.decide(facts()) == .incremental(parent: Self.parent, reason: "the database changed"))
  }
}
