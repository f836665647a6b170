import Testing

@testable import BackupPolicy

@Suite struct RestoreRefusalTests {
  let usual = RestoreCase()

  @Test func failedPoint() {
    #expect(usual.with { $0.point.status = .failed }.refusal?.code == .verificationFailed)
  }

  @Test func unauthenticatedPoint() throws {
    let forged = usual.with { $0.point.status = .unauthenticated }
    let refusal = try #require(forged.refusal)
    #expect(refusal.code == .unauthenticated && refusal.error.code.exitCode == 8)
    #expect(refusal.hint.contains("--accept-unauthenticated"))
    #expect(usual.with { $0.point.status = .unauthenticated }.refusal?.code == .unauthenticated)
    let accepted = forged.with { $0.request.acceptUnauthenticated = true }
    #expect(accepted.plan?.warnings.contains { $0.contains("not authenticated") } == true)
  }

  @Test func folder() {
    let refusal = usual.with { $0.target.state = .notAFile }.refusal
    #expect(refusal?.code == .refused && refusal?.reason.contains("folder") == true)
  }

  @Test func busyTargetNamesWhoHasItOpen() {
    let busy = usual.with { $0.target.state = .busy(reason: "database is locked") }
    #expect(busy.refusal?.code == .busy && busy.refusal?.error.code.exitCode == 6)
    let named = busy.with { $0.target.openBy = ["gunicorn (812)", "cron (7)"] }
    #expect(named.refusal?.hint.contains("gunicorn (812) and cron (7)") == true)
  }

  @Test(arguments: [TargetState.empty, .notAFile, .unreadable(reason: "x"), .busy(reason: "x")])
  func toAnExistingPath(state: TargetState) {
    let existing = usual.with {
      $0.request.target = .newFile(path: RestoreCase.path)
      $0.target.state = state
    }
    #expect(existing.refusal?.code == .refused && existing.refusal?.reason.contains("never overwrites") == true)
  }

  @Test func toAPathBesideAnOldLog() {
    let beside = usual.with {
      $0.request.target = .newFile(path: "/tmp/copy.db")
      $0.target = TargetFacts(path: "/tmp/copy.db", state: .missing, sideFiles: ["copy.db-wal"])
    }
    #expect(beside.refusal?.reason.contains("copy.db-wal") == true)
  }

  @Test func factsThatDoNotBelongTogether() {
    #expect(usual.with { $0.request.pointID = PointID("backup_20200101_000000")! }.refusal?.code == .factsChanged)
    #expect(usual.with { $0.target.path = "/srv/other.db" }.refusal?.code == .factsChanged)
    #expect(usual.with { $0.target.identity = nil }.refusal?.code == .factsChanged)
    let appeared = usual.with {
      $0.target = RestoreCase.missing
      $0.target.identity = RestoreCase.file
    }
    #expect(appeared.refusal?.code == .factsChanged)
  }

  @Test func anotherEncoding() {
    let other = usual.with { $0.point.textEncoding = "UTF-16le" }
    #expect(other.refusal?.code == .refused && other.refusal?.hint.contains("--to") == true)
    #expect(usual.with { $0.point.textEncoding = "utf-8" }.plan?.install == .live)
    // A file of another page size is replaced, and then no application keeps the old encoding.
    let replaced = other.with { $0.point.pageSize = 8192 }
    #expect(replaced.plan?.install == .replace)
  }
}

/// The content of the staged image decides the plan.
@Suite struct RestoreConfirmationTests {
  let usual = RestoreCase()

  @Test func sameShapeGoesOn() throws {
    let plan = try #require(usual.plan)
    #expect(plan.confirmed(4096, 4096, "UTF-8") == .proceed(plan))
  }

  @Test(arguments: ["UTF-16le", "UTF-16be", "", nil])
  func anotherOrUnknownEncodingIsRefused(encoding: String?) throws {
    let plan = try #require(usual.plan)
    #expect(plan.confirmed(4096, 4096, encoding).refusal?.code == .refused)
  }

  @Test func pageSizeKnownOnlyFromTheImage() throws {
    let plan = try #require(
      usual.with {
        $0.point.pageSize = 0
        $0.point.pageCount = nil
      }.plan)
    #expect(plan.install == .live)
    #expect(plan.warnings.contains { $0.contains("known only once it is staged") })
    #expect(plan.confirmed(4096, 1, "UTF-8").plan?.install == .live)
    let replacing = try #require(plan.confirmed(1024, 1, "UTF-16be").plan)
    #expect(replacing.install == .replace)
    #expect(
      replacing.kinds == [
        .checkSpace, .safetyBackup, .verify, .stage, .integrityCheck, .installReplace, .sync, .record,
      ])
    #expect(replacing.steps.prefix(4) == plan.steps.prefix(4))
    #expect(plan.confirmed(0, 0, nil).plan?.install == .replace)
  }

  @Test func metadataThatWasWrong() throws {
    let plan = try #require(usual.with { $0.point.pageSize = 512 }.plan)
    #expect(plan.install == .replace)
    #expect(plan.confirmed(4096, 4096, "UTF-8").plan?.install == .live)
    #expect(plan.confirmed(4096, 4096, "UTF-16le").refusal != nil)
    let tight = try #require(
      usual.with {
        $0.point.pageSize = 512
        $0.freeSpaceTarget = 20 << 20
      }.plan)
    #expect(tight.confirmed(4096, 4096, "UTF-8").refusal?.code == .noSpace)
  }

  @Test func otherPlacesDoNotAskForAnEncoding() throws {
    let missing = try #require(usual.with { $0.target = RestoreCase.missing }.plan)
    #expect(missing.confirmed(65536, 3, nil) == .proceed(missing))
  }
}
