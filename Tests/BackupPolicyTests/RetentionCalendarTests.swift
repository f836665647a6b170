import Testing

@testable import BackupPolicy

/// Cases that restic cannot express, so that the results must differ here: each with its reason.
@Suite("Retention by the calendar")
struct RetentionCalendarTests {
  /// Points as `type time`, the oldest first: `s` scheduled, `m` manual, `c` a full of a change, `i` an incremental of the
  /// point before, `S` safety, `f` failed, `u` unauthenticated; followed by `!` verified, `*` pinned, `?` a suspect clock,
  /// `#tag`.
  private func points(_ lines: String...) -> [Point] {
    var points: [Point] = []
    let types: [Character: BackupType] = ["s": .scheduled, "c": .change, "i": .change, "S": .safety]
    let states: [Character: BackupStatus] = ["f": .failed, "u": .unauthenticated]
    for (number, line) in lines.enumerated() {
      let words = line.split(separator: " ")
      let letter = words[0].first ?? "m"
      points.append(
        Point(
          id: RetentionHistory.id(number), sequence: Int64(number),
          created: Timestamp(iso8601: "2023-\(words[1]):00Z")!, type: types[letter] ?? .manual,
          kind: letter == "i" ? .incremental : .full, parent: letter == "i" ? points.last?.id : nil,
          status: states[letter] ?? .completed, verified: words[0].contains("!"),
          clockSuspect: words[0].contains("?"), pinned: words[0].contains("*"),
          tags: words.dropFirst(2).map { String($0.dropFirst()) }))
    }
    return points
  }

  private static let now = Timestamp(iso8601: "2023-11-16T12:00:00Z")!
  private static let berlin = ZoneRules(
    name: "Europe/Berlin", firstOffset: 7200,
    transitions: [.init(instant: 1_698_541_200, offset: 3600)], rule: nil)

  private func outcome(_ points: [Point], _ policy: RetentionPolicy, now: Timestamp = now) -> String {
    let kept = Set(policy.decide(points, now: now).keep.map(\.id))
    return String(points.map { kept.contains($0.id) ? "k" : "-" })
  }

  private func policy(_ zone: ZoneRules = .utc, _ change: (inout RetentionRules) -> Void) -> RetentionPolicy {
    var policy = RetentionPolicy()
    change(&policy.rules)
    policy.zone = zone
    return policy
  }

  private func reasons(_ points: [Point], _ number: Int, _ policy: RetentionPolicy) -> [String] {
    let decision = policy.decide(points, now: Self.now)
    return (decision.keep + decision.remove).first { $0.id == points[number].id }?.reasons ?? []
  }

  @Test("Days are those of the zone")
  func zone() {
    // 22:30 UTC is the next day in Berlin.
    let points = points("s 11-10T10:00", "s 11-10T23:30", "s 11-11T20:00", "s 11-11T23:30")
    #expect(outcome(points, policy { $0.keepDaily = 2 }) == "-k-k")
    #expect(outcome(points, policy(Self.berlin) { $0.keepDaily = 2 }) == "--kk")
    // restic keeps the oldest while the count is not used up.
    #expect(outcome(points, policy(Self.berlin) { $0.keepDaily = 4 }) == "k-kk")
    #expect(reasons(points, 1, policy(Self.berlin) { $0.keepDaily = 3 }) == ["not the last of its day (keep_daily 3)"])
    #expect(
      reasons(points, 2, policy { $0.keepDaily = 1 })
        == ["beyond keep_daily 1"])
  }

  @Test("An hour that the clocks show twice is one hour")
  func repeatedHour() {
    let points = points("s 10-28T23:10", "s 10-29T00:10", "s 10-29T01:10", "s 10-29T02:10")
    #expect(outcome(points, policy(Self.berlin) { $0.keepHourly = 9 }) == "k-kk")
    #expect(outcome(points, policy { $0.keepHourly = 9 }) == "kkkk")
  }

  @Test("A span counts from the newest point and follows the calendar")
  func spans() {
    let points = points("s 09-30T10:00", "s 10-01T12:00", "s 10-01T12:01", "s 11-01T12:00")
    #expect(outcome(points, policy { $0.keepWithin = CalendarSpan("1m") }) == "--kk")
    #expect(outcome(points, policy { $0.keepWithin = CalendarSpan("31d") }) == "--kk")
    #expect(outcome(points, policy { $0.keepWithin = CalendarSpan("1m1h") }) == "-kkk")
    // So does the oldest point in the span.
    #expect(outcome(points, policy { $0.keepWithinDaily = CalendarSpan("1m1h") }) == "--kk")
    #expect(outcome(points, policy { $0.keepWithinYearly = CalendarSpan("1y") }) == "k--k")
  }

  @Test(
    "An incremental that is the last of its day keeps its chain as compaction left it, and other chains are removed")
  func chains() {
    let points = points(
      "s 11-10T02:00", "i 11-10T10:00", "s 11-10T14:00", "i 11-10T15:00", "i 11-10T23:00", "i 11-11T01:00",
      "s 11-11T02:00")
    let daily = policy { $0.keepDaily = 7 }
    #expect(outcome(points, daily) == "kkkkkkk")
    #expect(reasons(points, 0, daily) == ["the oldest (keep_daily 7)"])
    #expect(reasons(points, 2, daily) == ["needed by \(points[5].id)"])
    #expect(reasons(points, 5, daily) == ["belongs to \(points[2].id), which is kept"])
    #expect(outcome(points, policy { $0.keepDaily = 2 }) == "--kkkkk")
    #expect(outcome(points, policy { $0.keepDaily = 1 }) == "------k")
  }

  @Test("The calendar removes no chain with a change of the last hour")
  func freshChains() {
    let points = points("s 11-16T02:00", "i 11-16T10:00", "i 11-16T11:30", "s 11-16T11:59")
    let daily = policy { $0.keepDaily = 1 }
    #expect(outcome(points, daily) == "kkkk")
    #expect(outcome(points, daily, now: Self.now.adding(seconds: 3600)) == "---k")
    // By number the full is removed, and its incrementals with it.
    #expect(outcome(points, RetentionPolicy(keepLast: 1)) == "---k")
  }

  @Test("Pinned, safety, failed and unauthenticated points use up no place of a rule")
  func apart() {
    let daily = policy { $0.keepDaily = 1 }
    #expect(outcome(points("s 11-10T10:00", "s* 11-10T11:00"), daily) == "kk")
    #expect(
      reasons(points("s 11-10T10:00", "s* 11-10T11:00"), 1, daily) == [
        "pinned", "the newest backup (none is verified)",
      ])
    #expect(outcome(points("s 11-12T10:00", "S 11-12T11:00"), daily) == "kk")
    #expect(outcome(points("s 11-10T10:00", "f 11-10T11:00"), daily) == "k-")
    #expect(outcome(points("s 11-10T10:00", "u 11-10T11:00"), daily) == "kk")
  }

  @Test("A point whose clock is suspect waits, and uses up no place of a rule")
  func suspectClocks() {
    let daily = policy { $0.keepDaily = 1 }
    let points = points("s 11-10T09:00", "s 11-10T10:00", "s? 11-10T08:00", "s? 12-24T08:00")
    #expect(outcome(points, daily) == "-kkk")
    #expect(reasons(points, 2, daily) == ["its clock is suspect, so its age does not count"])
  }

  @Test("The newest verified point stays under any calendar rule")
  func newestVerified() {
    let points = points("s! 11-01T10:00", "s 11-10T10:00", "s 11-11T10:00")
    #expect(outcome(points, policy { $0.keepDaily = 1 }) == "k-k")
  }

  @Test("An anomaly holds the points that the calendar and the standing rules kept when it was stored")
  func holds() {
    var points = points(
      "s 11-05T10:00", "s 11-06T10:00", "s 11-07T10:00", "s 11-08T10:00", "s 11-09T10:00", "s 11-10T10:00")
    points[3].status = .anomalous
    points[3].anomaly = "lost most of its content"
    let daily = policy { $0.keepDaily = 2 }
    #expect(outcome(points, daily) == "-kkkkk")
    // A cleanup by hand keeps less than the configuration does: the points that the configuration
    // kept at the time of the anomaly are held all the same.
    var byHand = RetentionPolicy(keepLast: 1)
    #expect(outcome(points, byHand) == "--kk-k")
    byHand.standingRules = daily.rules
    #expect(outcome(points, byHand) == "-kkk-k")
    // No rule removed any point then.
    byHand.standingRules = RetentionRules()
    #expect(outcome(points, byHand) == "kkkk-k")
  }

  @Test("Numbers count requested fulls, and the last full of a day that has only changes")
  func countedFulls() {
    let points = points(
      "s 11-10T02:00", "c 11-10T03:00", "c 11-10T04:00", "c 11-11T03:00", "c 11-11T04:00", "m! 11-12T02:00",
      "c 11-12T03:00")
    #expect(outcome(points, RetentionPolicy(keepLast: 3)) == "k---kk-")
    #expect(outcome(points, RetentionPolicy(maxBackups: 2)) == "----kk-")
    #expect(outcome(points, RetentionPolicy(retentionDays: 6)) == "---kkkk")
    #expect(reasons(points, 6, RetentionPolicy(keepLast: 3)).first?.contains("does not count") == true)
  }

  @Test("A busy hour evicts no other point: fulls of changes stay for an hour, then one an hour for a day")
  func busyHours() {
    let lines = ["s 11-15T02:00", "s! 11-16T02:00"]
    let changes = ["c 11-16T08:10", "c 11-16T08:50", "c 11-16T11:10", "c 11-16T11:20", "c 11-16T11:40"]
    let points = (lines + changes).map { self.points($0)[0] }.enumerated().map { number, point in
      var point = point
      point.id = RetentionHistory.id(number)
      return point
    }
    let two = RetentionPolicy(keepLast: 2)
    #expect(outcome(points, two) == "kk-kkkk")
    #expect(outcome(points, two, now: Self.now.adding(seconds: 7200)) == "kk-k--k")
    #expect(outcome(points, two, now: Self.now.adding(seconds: 86400)) == "kk-----")
  }

  @Test("max_backups limits the counted points, and not the points that the calendar keeps")
  func ceiling() {
    let points = points("s 08-10T02:00", "s 09-10T02:00", "s 10-10T02:00", "s 11-10T02:00")
    let both = policy {
      $0.maxBackups = 1
      $0.keepMonthly = 3
    }
    #expect(outcome(points, both) == "-kkk")
    #expect(
      reasons(points, 3, both) == [
        "within max_backups 1", "the last of its month (keep_monthly 3)", "the newest backup (none is verified)",
      ])
  }

  @Test("A tag rule needs all tags of a list, covers safety backups and incrementals, and reports tags of no backup")
  func tags() {
    let points = points(
      "s 11-01T02:00 #a", "s 11-02T02:00 #a #b", "S 11-02T03:00 #b", "s 11-03T02:00", "i 11-03T03:00 #b",
      "i 11-03T04:00", "s 11-10T02:00")
    #expect(outcome(points, policy { $0.keepTags = [["a"]] }) == "kk----k")
    #expect(outcome(points, policy { $0.keepTags = [["a", "b"]] }) == "-k----k")
    #expect(outcome(points, policy { $0.keepTags = [["b"]] }) == "-kkkk-k")
    #expect(outcome(points, policy { $0.keepTags = [[]] }) == "---kkkk")
    let mistaken = policy { $0.keepTags = [["c"]] }.decide(points, now: Self.now)
    #expect(mistaken.refused?.contains("no backup has the tags") == true && mistaken.remove.isEmpty)
    let both = policy {
      $0.keepTags = [["c"]]
      $0.keepLast = 1
    }
    #expect(both.decide(points, now: Self.now).refused == nil)
  }

  @Test("A rule of -1 keeps all, and a rule of 0 is no rule")
  func allAndNone() {
    let points = points("s 11-01T02:00", "s 11-01T03:00", "s 11-02T02:00")
    #expect(outcome(points, policy { $0.keepDaily = -1 }) == "kkk")
    #expect(outcome(points, policy { $0.keepLast = -1 }) == "kkk")
    let off = policy {
      $0.keepDaily = 0
      $0.keepLast = 1
    }
    #expect(outcome(points, off) == "--k")
    for rules in [policy { $0.keepDaily = 0 }, policy { $0.keepYearly = -2 }] {
      let decision = rules.decide(points, now: Self.now)
      #expect(decision.refused?.contains("at least 1") == true && decision.remove.isEmpty)
    }
  }

  @Test("A span is read as it is written")
  func spanText() {
    #expect(CalendarSpan("1y5m7d2h") == CalendarSpan(years: 1, months: 5, days: 7, time: .seconds(7200)))
    #expect(CalendarSpan("2w90min")?.text == "14d1h30min")
    for text in ["", "7", "d", "1d1d", "1.5d", "-1d", "1 d", "2000000d", "1x", "99999999999999999999d"] {
      #expect(CalendarSpan(text) == nil, "\(text)")
    }
    let march = Timestamp(iso8601: "2023-03-31T12:00:00Z")!
    #expect(CalendarSpan(months: 1).before(march, in: .utc).iso8601 == "2023-03-03T12:00:00.000Z")
    #expect(CalendarSpan(years: 1, months: 3).before(march, in: .utc).iso8601 == "2021-12-31T12:00:00.000Z")
    let fraction = CalendarSpan(days: 1, time: .milliseconds(1500))
    #expect(fraction.before(march, in: .utc).iso8601 == "2023-03-30T11:59:58.500Z" && fraction.text == "1d1s500ms")
    let (longest, shortest) = (Duration.seconds(Int64.max), Duration.seconds(Int64.min))
    for span in [CalendarSpan(years: .max, time: longest), CalendarSpan(days: .min, time: shortest)] {
      _ = span.before(Timestamp(milliseconds: .max), in: Self.berlin)
      _ = span.before(Timestamp(milliseconds: .min), in: Self.berlin)
    }
  }
}
