import TestSupport
import Testing
import Transfer

@testable import ObjectStorage

/// The abilities of honest and lying stores, as a probe finds them.
@Suite("A probe of a store", .ownThread) struct StoreProbeTests {
  private static let honest: StoreCapabilities = {
    var honest = StoreCapabilities()
    honest.creation = .enforced
    (honest.reading, honest.listing, honest.ranges) = (.works, .works, .works)
    (honest.paging, honest.absence, honest.removal) = (.works, .works, .works)
    return honest
  }()

  @Test("If a folder is honest, the probe finds all abilities and leaves nothing behind")
  func folder() throws {
    let folder = try TemporaryFolder()
    let store = FolderStore(folder.path)
    try store.put("points/1", ObjectContent([1]))
    #expect(try StoreProbe.run(store, folder: "id/probe/x") == Self.honest)
    #expect(try store.listAll(ListQuery()).objects.map(\.key) == ["points/1"])
    #expect(Self.honest.findings().allSatisfy { $0.severity == .fine })
  }

  @Test(
    "If a store lies, the probe finds the broken promise and says what it means", arguments: LyingStore.Lie.allCases)
  func lies(lie: LyingStore.Lie) throws {
    let folder = try TemporaryFolder()
    let found = try StoreProbe.run(LyingStore(folder.path, lie), folder: "probe/x")
    #expect(found != Self.honest)
    #expect(Self.promise(lie, found), "\(lie): \(found)")
    #expect(found.findings().contains { $0.severity != .fine }, "\(found.findings())")
  }

  /// Whether the result names the broken promise.
  private static func promise(_ lie: LyingStore.Lie, _ found: StoreCapabilities) -> Bool {
    switch lie {
    case .ignoresConditions, .refusesAndReplaces: found.creation == .ignored
    case .refusesConditions: found.creation == .unsupported
    case .dropsPuts, .truncatesPuts, .cutsFetches, .swapsObjects: found.reading == .fails
    case .ignoresRanges: found.ranges == .fails
    case .listsLate, .listsForEver: found.listing == .fails
    case .listsUnsorted, .repeatsNames, .skipsNames, .forgetsFolders: found.paging == .fails
    case .dropsDeletes: found.removal == .fails
    case .deniesAbsence: found.absence == .denied
    case .findsAbsentObjects: found.absence == .fails
    }
  }

  @Test("If a store lies, the tests of all stores fail", arguments: LyingStore.Lie.allCases)
  func conformance(lie: LyingStore.Lie) {
    withKnownIssue("\(lie)") {
      let (suite, kind) = (ConformanceTests(), ConformanceTests.Kind.lying(lie))
      for test in [
        suite.oddNamesComeBack, suite.createOnlyRefusesATakenName, suite.rangesAreCutAtTheEnd,
        suite.missingObjectsAreReported, suite.listingsGoPageByPage,
      ] { try test(kind) }
    }
  }

  @Test("In S3, the settings of the bucket are found", arguments: [false, true])
  func settings(locks: Bool) throws {
    let store = try Moto.store(locks: locks)
    try Moto.configure(
      store, "versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
    try Moto.configure(store, "lifecycle", Self.rules)
    if locks { try Moto.configure(store, "object-lock", Self.lock) }
    var found = try StoreProbe.run(store, folder: "id/probe/x")
    let bucket = try #require(found.bucket)
    #expect(bucket.versioning == .known(.enabled))
    let rules = try #require(bucket.lifecycle.value)
    #expect(rules.map(\.id) == ["old", "other", "parts"] && rules.map(\.isEnabled) == [true, true, true])
    #expect(rules.map(\.prefix) == ["some prefix/x/", "else/", ""] && rules[0].removesAfter == "after 30 days")
    #expect(rules[2].freesUploadsAfter == 7 && rules[2].freesVersionsAfter == 3)
    #expect(bucket.lock.value?.days == (locks ? 30 : nil) && bucket.lock.value?.isEnabled == locks)
    #expect(abs(try #require(found.clockDrift)) < 60_000)
    let findings = found.findings(keys: store.keyPrefix).map(\.description)
    #expect(
      findings.contains(
        "problem: the lifecycle rule 'old' removes objects after 30 days, also backups that others need: exclude this "
          + "prefix"))
    #expect(!findings.contains { $0.contains("'other'") })
    #expect(findings.contains("fine: the parts of unfinished uploads are freed after 7 days"))
    #expect(findings.contains("fine: the bucket keeps versions of removed objects for 3 days"))
    #expect(findings.contains { $0.contains("locks each new object for 30 days (COMPLIANCE)") } == locks)
    (found.bucket, found.clockDrift) = (nil, nil)
    #expect(found == Self.honest)
  }

  private static let rules = """
    <LifecycleConfiguration><Rule><ID>old</ID><Filter><Prefix>some prefix/x/</Prefix></Filter><Status>Enabled</Status>\
    <Expiration><Days>30</Days></Expiration></Rule><Rule><ID>other</ID><Filter><Prefix>else/</Prefix></Filter>\
    <Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule><Rule><ID>parts</ID><Filter><Prefix></Prefix>\
    </Filter><Status>Enabled</Status><NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays>\
    </NoncurrentVersionExpiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation>\
    </AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>
    """
  private static let lock = """
    <ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
    <Mode>COMPLIANCE</Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>
    """

  @Test("If the settings of a bucket were never made, or cannot be read, the probe says so")
  func noSettings() throws {
    let bucket = try #require(try StoreProbe.run(try Moto.store(), folder: "probe/x").bucket)
    #expect(
      bucket.versioning == .known(.off) && bucket.lifecycle == .known([]) && bucket.lock.value?.isEnabled == false)
    let unknown = BucketSettings(versioning: .denied, lifecycle: .denied, lock: .denied)
    #expect(unknown.findings("").allSatisfy { $0.severity == .notice && $0.text.contains("cannot be read") })
    #expect(
      BucketSettings(versioning: .unsupported, lifecycle: .unsupported, lock: .unsupported).findings("").count == 2)
  }

  @Test(
    "If the clock of the store is off, the finding depends on how much",
    arguments: [
      (Int64(0), StoreFinding.Severity.fine), (-5_000, .fine), (6_000, .notice), (-300_000, .notice),
      (301_000, .problem), (-86_400_000, .problem),
    ])
  func clocks(drift: Int64, severity: StoreFinding.Severity) throws {
    var found = Self.honest
    found.clockDrift = drift
    let finding = try #require(found.findings().first { $0.text.contains("clock") })
    #expect(finding.severity == severity)
    if severity != .fine { #expect(finding.text.contains(drift < 0 ? "behind" : "ahead of")) }
  }

  @Test("A lifecycle rule for a prefix above or below this one concerns it")
  func prefixes() {
    func rule(_ prefix: String) -> LifecycleRule { LifecycleRule(id: "r", prefix: prefix, isEnabled: true) }
    #expect(["", "a", "a/b/", "a/b/c"].allSatisfy { rule($0).concerns("a/b/") })
    #expect(["b", "a/c", "a/b-"].allSatisfy { !rule($0).concerns("a/b/") })
    #expect(rule("a").covers("a/b/") && !rule("a/b/c").covers("a/b/") && rule("x").concerns(""))
    var off = rule("")
    off.isEnabled = false
    #expect(!off.concerns("a/"))
  }

  @Test("If a list goes on for ever with one page, it ends as an error")
  func endlessList() throws {
    let folder = try TemporaryFolder()
    let store = LyingStore(folder.path, .listsForEver)
    let error = #expect(throws: StoreError.self) { try store.listAll(ListQuery()) }
    #expect(error?.kind == .malformed)
  }

  @Test("A list with more names than its limit ends as an error")
  func longList() throws {
    let folder = try TemporaryFolder()
    let store = FolderStore(folder.path)
    for number in 1...5 { try store.put("name-\(number)", ObjectContent([1])) }
    #expect(try store.listAll(ListQuery(pageSize: 2), most: 5).objects.count == 5)
    let error = #expect(throws: StoreError.self) { try store.listAll(ListQuery(pageSize: 2), most: 4) }
    #expect(error?.kind == .malformed && error?.message.contains("more than 4 names") == true)
  }

  @Test("If a store vanishes, the probe fails and does not judge")
  func unreachable() throws {
    let folder = try TemporaryFolder()
    let error = #expect(throws: StoreError.self) {
      try StoreProbe.run(FolderStore(folder.path("absent")), folder: "probe/x")
    }
    #expect(error?.kind == .noContainer)
  }
}
