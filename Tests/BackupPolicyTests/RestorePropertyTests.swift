import TestSupport
import Testing

@testable import BackupPolicy

/// The rules of safety, over a wide space of requests and facts.
@Suite struct RestorePropertyTests {
  @Test(arguments: [1, 20, 300, 4000, 50_000] as [UInt64])
  func everyPlanIsSafe(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var tally: [String: Int] = [:]
    for number in 0..<4000 {
      let example = RestoreCase.random(&random)
      let broken: [String]
      switch example.decision {
      case .plan(let plan):
        tally[plan.install.rawValue, default: 0] += 1
        let staged = StagedFacts.random(&random, like: example.point)
        broken = RestoreRules.broken(by: plan) + RestoreRules.broken(by: plan, staged: staged)
      case .refuse(let refusal):
        tally[refusal.code.rawValue, default: 0] += 1
        broken = RestoreRules.broken(by: refusal)
      }
      if !broken.isEmpty {
        Issue.record("seed \(seed), case \(number): \(broken) in \(example)")
        return
      }
    }
    // The space is wide enough only if every kind of installation and refusal occurred.
    for met in ["live", "replace", "new_file", "refused", "busy", "no_space", "unauthenticated"] {
      #expect(tally[met, default: 0] > 20, "seed \(seed): \(met) in \(tally)")
    }
  }
}

private enum RestoreRules {
  static func broken(by plan: RestorePlan) -> [String] {
    var broken: [String] = []
    func rule(_ name: String, _ holds: Bool) { if !holds { broken.append(name) } }
    let (request, facts, kinds) = (plan.request, plan.facts, plan.kinds)
    let destructive = kinds.firstIndex { $0.isDestructive }
    rule("something is installed", kinds.count { [.installLive, .installReplace, .installNew].contains($0) } == 1)
    rule("space is checked first", kinds.first == .checkSpace)
    rule("the image is staged first", before(kinds, .stage, destructive))
    if request.safetyBackup, exists(facts.target) {
      let safety = kinds.firstIndex { $0.isSafety }
      rule("a safety step comes first", safety != nil && safety! < destructive ?? 0)
    }
    rule("no safety step where it was waived", request.safetyBackup || !kinds.contains { $0.isSafety })
    rule("verification comes before installation", !request.verifyFirst || before(kinds, .verify, destructive))
    let checked = request.recheck || (request.verifyFirst && !facts.point.integrityKnown)
    rule("the integrity check comes before installation", !checked || before(kinds, .integrityCheck, destructive))
    rule(
      "only accepted points",
      facts.point.status != .unauthenticated || request.acceptUnauthenticated)
    rule("no failed point", facts.point.status != .failed)
    rule("side files leave before the rename", sideFilesLeaveFirst(plan))
    rule("destructive steps carry facts", plan.steps.allSatisfy { !$0.kind.isDestructive || carriesFacts($0, plan) })
    rule("DESIGN's order", kinds == RestoreStep.Kind.allCases.filter(kinds.contains))
    rule("live only into the same shape", plan.install != .live || mayBeLive(facts))
    rule("replace only where live cannot be", plan.install != .replace || !mustBeLive(facts))
    rule("words", plan.steps.allSatisfy { isSentence($0.detail) } && plan.warnings.allSatisfy(isSentence))
    rule("sizes", plan.steps.allSatisfy { ($0.bytes ?? 0) >= 0 })
    return broken
  }

  static func broken(by plan: RestorePlan, staged: StagedFacts) -> [String] {
    switch RestorePolicy.confirm(plan, staged: staged) {
    case .refuse(let refusal): return broken(by: refusal)
    case .proceed(let confirmed):
      let done = plan.steps.prefix { $0.kind != .stage }
      var broken = confirmed.steps.starts(with: done) ? [] : ["confirmation changed what was done already"]
      if let safety = plan.kinds.first(where: { $0.isSafety }), !confirmed.kinds.contains(safety) {
        broken.append("confirmation dropped the safety step")
      }
      if confirmed.install == .live {
        let target = plan.facts.target.state
        if case .database(let database) = target, database.pageSize == staged.pageSize, staged.pageCount > 0,
          database.textEncoding == staged.textEncoding
        {
          return broken
        }
        broken.append("live into another shape, as staged: \(staged)")
      }
      return broken
    }
  }

  static func broken(by refusal: RestoreRefusal) -> [String] {
    isSentence(refusal.reason) && isSentence(refusal.hint) && refusal.code.exitCode != 0 ? [] : ["words: \(refusal)"]
  }

  private static func exists(_ target: TargetFacts) -> Bool { target.state != .missing }

  private static func before(_ kinds: [RestoreStep.Kind], _ kind: RestoreStep.Kind, _ limit: Int?) -> Bool {
    guard let place = kinds.firstIndex(of: kind), let limit else { return false }
    return place < limit
  }

  private static func sideFilesLeaveFirst(_ plan: RestorePlan) -> Bool {
    guard let install = plan.kinds.firstIndex(of: .installReplace) else { return true }
    let move = plan.kinds.firstIndex(of: .moveSideFiles)
    switch plan.facts.target.state {
    case .unreadable: return move.map { $0 < install } ?? false
    case .missing: return plan.facts.target.sideFiles.isEmpty || (move.map { $0 < install } ?? false)
    default: return move == nil
    }
  }

  private static func carriesFacts(_ step: RestoreStep, _ plan: RestorePlan) -> Bool {
    guard let relied = step.reliesOn, relied.pointChecksum == plan.facts.point.checksum else { return false }
    switch (relied.target, plan.facts.target.identity) {
    case (.absent, nil): return true
    case (.sameFile(let file), .some(let identity)), (.unchanged(let file), .some(let identity)):
      return file == identity
    default: return false
    }
  }

  private static func mayBeLive(_ facts: RestoreFacts) -> Bool {
    guard case .database(let database) = facts.target.state, database.pageCount > 0, facts.point.pageCount != 0 else {
      return false
    }
    let size = facts.point.pageSize
    return (size == 0 || size == database.pageSize)
      && (size == 0 || facts.point.textEncoding == nil || facts.point.textEncoding == database.textEncoding)
  }

  private static func mustBeLive(_ facts: RestoreFacts) -> Bool {
    guard case .database(let database) = facts.target.state else { return false }
    return database.pageCount > 0 && facts.point.pageCount != 0 && facts.point.pageSize == database.pageSize
  }

  private static func isSentence(_ text: String) -> Bool {
    text.count > 10 && !text.hasSuffix(".") && !text.contains("  ")
  }
}

extension RestoreCase {
  fileprivate static func random(_ random: inout SeededGenerator) -> RestoreCase {
    var example = RestoreCase()
    if random.chance(4) { example.request.target = .newFile(path: path) }
    example.request.safetyBackup = !random.chance(4)
    example.request.verifyFirst = !random.chance(4)
    example.request.recheck = random.chance(4)
    example.request.acceptUnauthenticated = random.chance(3)
    example.point = .random(&random)
    example.target = .random(&random)
    let space: [Int64] = [0, 1 << 20, 20 << 20, 1 << 30, 1 << 40, 1 << 40, 1 << 40]
    example.freeSpaceTarget = random.pick(space)
    example.freeSpaceRepository = random.pick(space)
    example.sameFileSystem = random.chance(2)
    return example
  }
}

extension PointFacts {
  fileprivate static func random(_ random: inout SeededGenerator) -> PointFacts {
    let statuses: [BackupStatus] = [
      .completed, .verified, .verified, .failed, .anomalous, .suspect, .unauthenticated, .unauthenticated,
    ]
    let point = Point(
      id: RestoreCase.id, created: Timestamp(milliseconds: 0), status: random.pick(statuses),
      pageCount: random.pick([nil, 0, 1, 4096, .max]), pageSize: random.pick([0, 0, 512, 4096, 4096, 4096, 65536]))
    return PointFacts(
      point, imageSize: random.pick([0, 4096, 16 << 20, 1 << 30, .max, -1]),
      archiveSize: random.pick([0, 4096, 1 << 30, .max]),
      textEncoding: random.pick([nil, nil, "UTF-8", "UTF-16le"]), checksum: random.pick([nil, "ab12"]),
      integrityKnown: random.chance(2))
  }
}

extension TargetFacts {
  fileprivate static func random(_ random: inout SeededGenerator) -> TargetFacts {
    let database = DatabaseFacts(
      pageSize: random.pick([512, 4096, 4096]), pageCount: random.pick([0, 1, 4096, .max]),
      textEncoding: random.pick(["UTF-8", "UTF-8", "UTF-16le"]),
      journalMode: random.pick(["wal", "delete", "truncate", "memory", "off"]))
    let state: TargetState = random.pick([
      .missing, .missing, .database(database), .database(database), .database(database), .empty,
      .unreadable(reason: "file is not a database"), .notAFile, .busy(reason: "database is locked"),
    ])
    // Now and then the identity contradicts the state, as if a file came or went between two
    // probes.
    let identified = (state != .missing) != random.chance(30)
    return TargetFacts(
      path: RestoreCase.path, state: state, size: random.pick([0, 4096, 16 << 20, .max, -1]),
      sideFiles: random.pick([[], ["app.db-wal"], ["app.db-wal", "app.db-journal"]]),
      sideFileBytes: random.pick([0, 4096, 1 << 30]),
      identity: identified ? RestoreCase.file : nil, openBy: random.pick([[], ["gunicorn (812)"]]))
  }
}

extension StagedFacts {
  fileprivate static func random(_ random: inout SeededGenerator, like point: PointFacts) -> StagedFacts {
    StagedFacts(
      pageSize: random.pick([point.pageSize > 0 ? point.pageSize : 4096, 0, 512, 4096]),
      pageCount: random.pick([point.pageCount ?? 7, 0, 1]),
      textEncoding: random.pick([nil, "UTF-8", "UTF-16le"]))
  }
}
