import Testing

@testable import BackupPolicy

@Suite struct RestorePolicyTests {
  let usual = RestoreCase()

  @Test func liveIsTheDefault() throws {
    let plan = try #require(usual.plan)
    #expect(plan.install == .live)
    #expect(
      plan.kinds == [
        .checkSpace, .safetyBackup, .verify, .stage, .integrityCheck, .installLive, .sync, .record,
      ])
    #expect(plan.warnings.isEmpty)
  }

  @Test func liveWhoeverHasItOpen() {
    #expect(usual.with { $0.target.openBy = ["gunicorn (812)", "sqlite3 (99)"] }.plan == nil ? false : true)
    #expect(usual.with { $0.target.openBy = ["gunicorn (812)"] }.plan?.install == .live)
  }

  @Test func anotherPageSizeReplacesUnderTheLock() throws {
    let plan = try #require(
      usual.with {
        $0.point.pageSize = 8192
        $0.target.openBy = ["gunicorn (812)"]
      }.plan)
    #expect(plan.install == .replace)
    #expect(!plan.kinds.contains(.moveSideFiles))
    #expect(plan.step(.installReplace)?.reliesOn?.target == .sameFile(RestoreCase.file))
    #expect(plan.warnings.contains { $0.contains("gunicorn (812)") })
  }

  @Test func aMissingDatabaseIsPutInPlace() throws {
    let plan = try #require(usual.with { $0.target = RestoreCase.missing }.plan)
    #expect(plan.install == .replace)
    #expect(plan.kinds == [.checkSpace, .verify, .stage, .integrityCheck, .installReplace, .sync, .record])
    #expect(plan.step(.installReplace)?.reliesOn?.target == .absent)
    #expect(plan.step(.installReplace)?.reliesOn?.sideFiles == [])
  }

  @Test func sideFilesOfAMissingDatabaseLeaveFirst() throws {
    let plan = try #require(
      usual.with {
        $0.target = RestoreCase.missing
        $0.target.sideFiles = ["app.db-wal"]
      }.plan)
    #expect(Array(plan.kinds.suffix(4)) == [.moveSideFiles, .installReplace, .sync, .record])
    #expect(plan.warnings.contains { $0.contains("app.db-wal") })
  }

  @Test func anUnreadableTargetIsCopiedAndReplaced() throws {
    let plan = try #require(usual.with { $0.target = RestoreCase.unreadable }.plan)
    #expect(plan.install == .replace)
    #expect(
      plan.kinds == [
        .checkSpace, .damagedSafetyCopy, .verify, .stage, .integrityCheck, .moveSideFiles, .installReplace, .sync,
        .record,
      ])
    #expect(plan.step(.damagedSafetyCopy)?.bytes == 17 << 20)
    #expect(plan.step(.moveSideFiles)?.reliesOn?.target == .unchanged(RestoreCase.file))
    #expect(plan.step(.installReplace)?.reliesOn?.sideFiles == [])
  }

  @Test func aFlawOfTheDatabaseThatWasBackedUpIsAWarning() throws {
    let sound = PointFacts.Alternative(PointID("backup_20231110_143022")!, Timestamp(iso8601: "2023-11-10T14:30:22Z")!)
    let plan = try #require(
      usual.with {
        $0.point.flaw = .init(findings: "NULL value in t.a", newestSound: sound)
        $0.point.created = Timestamp(iso8601: "2023-11-13T15:30:22Z")!
      }.plan)
    #expect(plan.kinds == usual.plan?.kinds)
    #expect(plan.warnings.contains { $0.hasSuffix(": NULL value in t.a") })
    #expect(plan.warnings.contains("the newest backup without a flaw is backup_20231110_143022, 3 days 1 h older"))
    let alone = try #require(
      usual.with { $0.point.flaw = .init(findings: "NULL value in t.a", newestSound: nil) }.plan)
    #expect(alone.warnings.contains("no other backup is known to be without a flaw"))
  }

  @Test func anAnomalousBackupNamesTheNewestThatIsNot() throws {
    let usualPoint = PointFacts.Alternative(
      PointID("backup_20231110_143022")!, Timestamp(iso8601: "2023-11-10T14:30:22Z")!)
    func warnings(_ alternative: PointFacts.Alternative?) throws -> [String] {
      try #require(
        usual.with {
          $0.point.point.status = .anomalous
          $0.point.created = Timestamp(iso8601: "2023-11-13T15:30:22Z")!
          $0.point.newestUsual = alternative
        }.plan
      ).warnings
    }
    let found = try warnings(usualPoint).filter { $0.contains("is marked anomalous: it may have lost content; ") }
    #expect(found.count == 1)
    #expect(found[0].hasSuffix("; the newest backup that is not is backup_20231110_143022, 3 days 1 h older"))
    #expect(try warnings(nil).contains { $0.hasSuffix("is marked anomalous: it may have lost content") })
  }

  @Test("A usual backup after an anomalous one names it, and the newest before it")
  func accident() throws {
    func alternative(_ id: String, _ time: String) throws -> PointFacts.Alternative {
      PointFacts.Alternative(try #require(PointID(id)), try #require(Timestamp(iso8601: time)))
    }
    let odd = try alternative("backup_20231113_152022", "2023-11-13T15:20:22Z")
    let good = try alternative("backup_20231113_151022", "2023-11-13T15:10:22Z")
    func warnings(_ accident: PointFacts.Accident?) throws -> [String] {
      let plan = usual.with {
        $0.point.created = Timestamp(iso8601: "2023-11-13T15:30:22Z")!
        $0.point.accident = accident
      }.plan
      return try #require(plan).warnings.filter { $0.contains("anomalous") }
    }
    let found = try warnings(.init(odd, lastGood: good))
    #expect(found.count == 1 && found[0].hasPrefix("backup_20231113_152022, 10 min older, is marked anomalous, and "))
    #expect(found[0].hasSuffix("; the newest backup before that is backup_20231113_151022, 20 min older"), "\(found)")
    #expect(try warnings(.init(odd, lastGood: nil)).count == 1 && warnings(nil).isEmpty)
  }

  @Test func anEmptyFileIsReplaced() throws {
    let empty = usual.with {
      $0.target.state = .empty
      $0.target.size = 0
    }
    #expect(empty.plan?.install == .replace)
    #expect(empty.kinds?.prefix(2) == [.checkSpace, .safetyBackup])
    let noPages = usual.with {
      $0.target.state = .database(
        DatabaseFacts(pageSize: 4096, pageCount: 0, textEncoding: "UTF-16le", journalMode: "delete"))
    }
    #expect(noPages.plan?.install == .replace)
  }

  @Test func anEmptyPointReplaces() throws {
    let plan = try #require(
      usual.with {
        $0.point.pageCount = 0
        $0.point.pageSize = 0
        $0.point.imageSize = 0
      }.plan)
    #expect(plan.install == .replace)
    #expect(plan.kinds.contains(.safetyBackup))
    #expect(plan.warnings.contains { $0.contains("empty database") })
  }

  @Test func toANewFile() throws {
    let plan = try #require(
      usual.with {
        $0.request.target = .newFile(path: "/tmp/copy.db")
        $0.target = TargetFacts(path: "/tmp/copy.db", state: .missing)
      }.plan)
    #expect(plan.install == .newFile)
    #expect(plan.kinds == [.checkSpace, .verify, .stage, .integrityCheck, .installNew, .sync])
    #expect(plan.step(.installNew)?.reliesOn == ReliedFacts(target: .absent, sideFiles: [], pointChecksum: "ab12"))
  }

  @Test func waivedSafetyIsWarnedOf() throws {
    let plan = try #require(usual.with { $0.request.safetyBackup = false }.plan)
    #expect(!plan.kinds.contains { $0.isSafety })
    #expect(plan.warnings.contains { $0.hasPrefix("no safety backup") })
    let missing = usual.with {
      $0.request.safetyBackup = false
      $0.target = RestoreCase.missing
    }
    #expect(missing.plan?.warnings == [])
  }

  @Test func verification() {
    #expect(usual.with { $0.point.integrityKnown = true }.kinds?.contains(.integrityCheck) == false)
    let again = usual.with {
      $0.point.integrityKnown = true
      $0.request.recheck = true
    }
    #expect(again.kinds?.contains(.integrityCheck) == true)
    let without = usual.with { $0.request.verifyFirst = false }
    #expect(without.kinds == [.checkSpace, .safetyBackup, .stage, .installLive, .sync, .record])
    #expect(without.plan?.warnings.contains { $0.contains("not verified") } == true)
  }

  @Test func imageWithoutAPassedCheckIsCheckedAfterAll() throws {
    let plan = try #require(usual.with { $0.point.integrityKnown = true }.plan)
    var staged = StagedFacts(pageSize: 4096, pageCount: 4096, textEncoding: "UTF-8")
    #expect(RestorePolicy.confirm(plan, staged: staged) == .proceed(plan))
    staged.integrityKnown = false
    let confirmed = try #require(RestorePolicy.confirm(plan, staged: staged).plan)
    #expect(confirmed.kinds == usual.kinds)
    // Without verification there is no check to add, and a planned one is never removed.
    let unverified = try #require(usual.with { $0.request.verifyFirst = false }.plan)
    #expect(RestorePolicy.confirm(unverified, staged: staged).plan?.kinds == unverified.kinds)
    staged.integrityKnown = true
    let checked = try #require(usual.plan)
    #expect(RestorePolicy.confirm(checked, staged: staged) == .proceed(checked))
  }

  @Test func doubtfulPointsAreWarnedOf() {
    #expect(usual.with { $0.point.status = .suspect }.plan?.warnings.contains { $0.contains("suspect") } == true)
    #expect(usual.with { $0.point.status = .anomalous }.plan?.warnings.contains { $0.contains("anomalous") } == true)
  }

  @Test func jsonNames() {
    #expect(Install.allCases.map(\.rawValue) == ["live", "replace", "new_file"])
    #expect(
      RestoreStep.Kind.allCases.map(\.rawValue) == [
        "check_space", "safety_backup", "damaged_safety_copy", "verify", "stage", "integrity_check",
        "install_live", "move_side_files", "install_replace", "install_new", "sync", "record",
      ])
  }
}
