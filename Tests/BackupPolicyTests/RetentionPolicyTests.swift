import Testing

@testable import BackupPolicy

/// Points are a day apart, the newest a day old; the letters are those of ``RetentionHistory``.
@Suite struct RetentionPolicyTests {
  private func check(
    _ history: String, _ expected: String, _ policy: RetentionPolicy, daysLater: Int64 = 0,
    location: SourceLocation = #_sourceLocation
  ) {
    let now = RetentionHistory.now.adding(seconds: daysLater * RetentionHistory.day)
    #expect(RetentionHistory(history).outcome(policy, now: now) == expected, sourceLocation: location)
  }

  @Test func keepTheNewest() {
    check("mmsms", "--kkk", RetentionPolicy(keepLast: 3))
    check("mm", "kk", RetentionPolicy(keepLast: 3))
    check("", "", RetentionPolicy(keepLast: 3))
  }

  @Test func changeFullsAreCounted() {
    check("mcccc", "---kk", RetentionPolicy(keepLast: 2))
    check("mcccc", "---kk", RetentionPolicy(maxBackups: 2))
  }

  @Test func unknownTypesAreCounted() {
    var points = RetentionHistory("mmm").points
    for index in points.indices { points[index].type = .unknown("automatic") }
    #expect(RetentionPolicy(keepLast: 1).decide(points, now: RetentionHistory.now).remove.count == 2)
  }

  @Test func retentionDays() {
    // The age of the n-th from the end is n days: 3 days old is not older than 3 days.
    check("sssss", "--kkk", RetentionPolicy(retentionDays: 3))
    check("sssss", "kkkkk", RetentionPolicy(retentionDays: .max))
  }

  @Test func maxBackupsIsACeiling() {
    check("sssss", "---kk", RetentionPolicy(maxBackups: 2))
    check("sssss", "---kk", RetentionPolicy(retentionDays: 4, maxBackups: 2))
    check("sssss", "----k", RetentionPolicy(retentionDays: 1, maxBackups: 3))
    check("sssss", "---kk", RetentionPolicy(keepLast: 4, maxBackups: 2))
  }

  @Test func keepAndRetentionDaysEachKeep() {
    check("sssss", "---kk", RetentionPolicy(keepLast: 2, retentionDays: 1))
    check("sssss", "--kkk", RetentionPolicy(keepLast: 1, retentionDays: 3))
  }

  @Test func theNewestVerifiedStays() {
    check("s!ssss", "k---k", RetentionPolicy(keepLast: 1))
    check("s!s!sss", "-k--k", RetentionPolicy(keepLast: 1))
    check("s!ssss", "k----", RetentionPolicy(retentionDays: 1, maxBackups: 1), daysLater: 99)
  }

  @Test func theNewestStaysWhereNoneIsVerified() {
    check("sssss", "----k", RetentionPolicy(retentionDays: 1), daysLater: 99)
    check("ssssf", "---k-", RetentionPolicy(retentionDays: 1), daysLater: 99)
    check("fff", "--k", RetentionPolicy(keepLast: 1))
  }

  /// The newest verified point may be the safety backup of a broken state.
  @Test func aSafetyBackupDoesNotStandInForTheNewestVerified() {
    check("s!sS!", "k-k", RetentionPolicy(retentionDays: 1), daysLater: 99)
  }

  @Test func doubtfulPointsAreNotTheNewestVerified() {
    for status in [BackupStatus.failed, .unauthenticated, .suspect, .anomalous] {
      var points = RetentionHistory("s!s!ss").points
      points[1].status = status
      let decision = RetentionPolicy(keepLast: 1).decide(points, now: RetentionHistory.now)
      #expect(decision.keep.map(\.id).contains(points[0].id), "\(status)")
    }
  }

  @Test func theNewestWithoutAFlawStaysBesideTheNewestVerified() {
    var points = RetentionHistory("s!s!s!").points
    points[1].isFlawed = true
    points[2].isFlawed = true
    let decision = RetentionPolicy(keepLast: 1).decide(points, now: RetentionHistory.now)
    #expect(decision.keep.map(\.id) == [points[0].id, points[2].id])
  }

  @Test func safetyAndGuardCountApart() {
    check("ssSSSS", "-kkkkk", RetentionPolicy(keepLast: 1))
    check("ssGGGG", "-kkkkk", RetentionPolicy(maxBackups: 1))
  }

  @Test func safetyBackupsGoAfterTheirGrace() {
    check("SSSSSSSSSs", "--kkkkkkkk", RetentionPolicy(keepLast: 1).graceOf(days: 8))
    check("SSSSSSSSSs", "---kkkkkkk", RetentionPolicy(keepLast: 1))
    check("GGGs", "--kk", RetentionPolicy(maxBackups: 5).graceOf(days: 2))
  }

  @Test func whatBuildsOnAPinnedFullStaysWithIt() {
    check("siisiis", "------k", RetentionPolicy(keepLast: 1))
    check("s*iisiis", "kkk---k", RetentionPolicy(keepLast: 1))
    // A pinned incremental keeps the points that it needs, and no more.
    check("si*isiis", "kk----k", RetentionPolicy(keepLast: 1))
  }

  @Test func guardPointsStayUntilTheyAreUnpinnedAndOld() {
    check("G*ss", "k-k", RetentionPolicy(keepLast: 1), daysLater: 99)
    check("Gss", "--k", RetentionPolicy(keepLast: 1), daysLater: 99)
    check("Gss", "k-k", RetentionPolicy(keepLast: 1))
  }

  @Test func pinnedPointsStayAndAreNotCounted() {
    check("s*ssss", "k--kk", RetentionPolicy(keepLast: 2))
    check("sss*s*s*", "-kkkk", RetentionPolicy(keepLast: 1))
    check("f*s", "kk", RetentionPolicy(keepLast: 1))
    check("S*s", "kk", RetentionPolicy(keepLast: 1).graceOf(days: 0))
  }

  @Test func suspectClocksWait() {
    check("s?s?sss", "kk--k", RetentionPolicy(retentionDays: 1))
    check("S?Ss", "k-k", RetentionPolicy(keepLast: 1).graceOf(days: 1))
    // Rules that count treat them like any other.
    check("s?s?sss", "----k", RetentionPolicy(keepLast: 1))
  }

  @Test func pointsFromTheFutureAreYoung() {
    var points = RetentionHistory("sss").points
    points[0].created = Timestamp(milliseconds: .max)
    let decision = RetentionPolicy(retentionDays: 1).decide(points, now: RetentionHistory.now)
    #expect(decision.keep.map(\.id).contains(points[0].id))
  }

  @Test func unauthenticatedPointsNeitherCountNorGo() {
    check("ssuuuu", "-kkkkk", RetentionPolicy(keepLast: 1))
    check("ssuuuu", "kkkkkk", RetentionPolicy(maxBackups: 2))
  }

  @Test func withoutARuleNothingGoes() {
    check("fsSGui", "kkkkkk", RetentionPolicy())
  }

  @Test func incrementalsFollowTheirFull() {
    check("siiisii", "----kkk", RetentionPolicy(keepLast: 1))
    check("siiisii", "kkkkkkk", RetentionPolicy(keepLast: 2))
  }

  @Test func whatStaysKeepsWhatItNeeds() {
    check("sii*isi", "kkk-kk", RetentionPolicy(keepLast: 1))
    check("sii!issi", "kkk--kk", RetentionPolicy(keepLast: 1))
    check("fi*s", "kkk", RetentionPolicy(keepLast: 1))
    #expect(
      RetentionHistory("sii*s").reasons(0, RetentionPolicy(keepLast: 1)) == ["needed by \(RetentionHistory.id(2))"])
  }

  @Test func childrenGoBeforeParents() {
    #expect(RetentionHistory("siisiis").removed(RetentionPolicy(keepLast: 1)) == [2, 1, 0, 5, 4, 3])
  }

  @Test func failedPointsGoFirstAndTheOldestNext() {
    #expect(RetentionHistory("ssfsfs").removed(RetentionPolicy(keepLast: 1)) == [2, 4, 0, 1, 3])
    #expect(RetentionHistory("fiss").removed(RetentionPolicy(keepLast: 1)) == [1, 0, 2])
  }

  @Test func strangeParents() {
    var points = RetentionHistory("iiiss").points
    points[0].parent = points[2].id  // a circle
    #expect(RetentionPolicy(keepLast: 1).decide(points, now: RetentionHistory.now).remove.map(\.id) == [points[3].id])
    points[0].parent = points[0].id
    #expect(RetentionPolicy(keepLast: 1).decide(points, now: RetentionHistory.now).remove.map(\.id) == [points[3].id])
    points[0].parent = RetentionHistory.id(999)
    #expect(RetentionPolicy(keepLast: 1).decide(points, now: RetentionHistory.now).remove.map(\.id) == [points[3].id])
  }

  @Test func namesakesStayTogether() {
    var points = RetentionHistory("ssss").points
    points[1].id = points[3].id
    let decision = RetentionPolicy(keepLast: 1).decide(points, now: RetentionHistory.now)
    #expect(decision.remove.map(\.id) == [points[0].id, points[2].id])
    #expect(decision.keep.first?.reasons == ["another backup with the same name is kept"])
  }

  @Test(
    arguments: [
      RetentionPolicy(keepLast: 0), RetentionPolicy(keepLast: -2), RetentionPolicy(retentionDays: 0),
      RetentionPolicy(keepLast: 3, maxBackups: .min),
    ])
  func rulesThatNobodyCanMean(policy: RetentionPolicy) {
    let decision = RetentionHistory("sss").decide(policy)
    #expect(decision.refused?.contains("at least 1") == true)
    #expect(decision.remove.isEmpty && decision.keep.count == 3)
  }

  @Test func everyReason() {
    let policy = RetentionPolicy(keepLast: 2, retentionDays: 4, maxBackups: 2)
    let history = RetentionHistory("s!ssss")
    #expect(history.reasons(0, policy) == ["the newest verified backup"])
    #expect(history.reasons(1, policy) == ["beyond max_backups 2"])
    #expect(history.reasons(4, policy) == ["among the newest 2", "younger than 4 days"])
    #expect(RetentionHistory("ss").reasons(0, RetentionPolicy(keepLast: 1)) == ["beyond keep 1"])
    #expect(RetentionHistory("Ss").reasons(0, RetentionPolicy(keepLast: 1)) == ["safety backup younger than 7 days"])
    #expect(RetentionHistory("fs").reasons(0, RetentionPolicy(keepLast: 1)) == ["failed"])
  }
}

extension RetentionPolicy {
  fileprivate func graceOf(days: Int64) -> RetentionPolicy {
    var copy = self
    copy.safetyGrace = .seconds(days * RetentionHistory.day)
    return copy
  }

  @Test("A backup is removed as failed only if its archive fails again, and not because of a parent that passes")
  func acquittal() {
    let ids = (0..<6).map { PointID(at: Timestamp(milliseconds: 0), number: $0) }
    var acquittal = Acquittal()
    acquittal.add(ids[0], .failed)
    acquittal.add(ids[1], .whole)
    acquittal.add(ids[2], .needs(ids[0]))
    acquittal.add(ids[3], .needs(ids[1]))
    acquittal.add(ids[4], .needs(ids[3]))
    acquittal.add(ids[5], .unknown)
    #expect(acquittal.acquitted == [ids[1], ids[3], ids[4], ids[5]])
  }
}
