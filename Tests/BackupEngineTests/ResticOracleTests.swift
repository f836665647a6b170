import FoundationEssentials
import Glibc
import TestSupport
import Testing

@testable import BackupEngine
@testable import BackupPolicy

/// Random series under random policies against `restic forget --dry-run --json`: the same points stay, each by the same rules.
///
/// `HOLDFAST_RESTIC` names another restic than the one in `PATH`, `HOLDFAST_RESTIC_POLICIES` the
/// number of policies to try in each zone (16), each on 60 series.
@Suite(
  "Retention as in restic", .ownThread,
  .enabled(if: ResticOracle.isThere, "no restic (apt install restic), or no zone files (apt install tzdata)"))
struct ResticOracleTests {
  @Test(
    "Random series and policies keep the same points",
    arguments: [
      ("Europe/Berlin", 1), ("America/New_York", 2), ("Australia/Lord_Howe", 3), ("Pacific/Apia", 4), ("UTC", 5),
    ] as [(String, UInt64)])
  func forget(zone: String, seed: UInt64) throws {
    let rules = try TimeZones.named(zone)
    var random = SeededGenerator(seed: seed)
    let series = (0..<60).map { _ in ResticOracle.series(&random) }
    let policies = (0..<ResticOracle.policies).map { _ in ResticOracle.policy(&random) }
    let answer = try ResticOracle.ask(zone, series, policies)
    var stayed = 0
    for (number, policy) in policies.enumerated() {
      for (index, points) in series.enumerated() {
        let theirs = answer.answers[number][index].mapValues { $0.sorted() }
        let ours = ResticOracle.kept(points, policy, rules, answer)
        stayed += ours.count
        try #require(ours == theirs, "seed \(seed), policy \(number) \(policy.flags), series \(index): \(points)")
      }
    }
    #expect(stayed > policies.count * 100, "seed \(seed) keeps hardly anything")
  }
}

enum ResticOracle {
  static let isThere = ZoneOracle.hasZoneFiles && (try? Shell.run("sh", ["-c", "command -v restic"]))?.status == 0
  static let policies = variable("HOLDFAST_RESTIC_POLICIES").flatMap { Int($0) } ?? 16

  private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  struct Snapshot: Encodable {
    /// Seconds since the epoch.
    var time: Int64
    var tags: [String]
  }

  struct Answer: Decodable {
    var version: String
    /// By policy and series: the times of the kept points, with reasons.
    var answers: [[[String: [String]]]]

    /// Restic 0.16 began to keep the oldest, and to take -1 for all; 0.18 began to call the oldest so.
    var minor: Int { version.split(separator: ".").dropFirst().first.flatMap { Int($0) } ?? 0 }
  }

  struct Policy {
    var rules = RetentionRules()
    var flags: [String] = []
  }

  /// One to fifty snapshots, of one rhythm or of bursts, from the last century to a day ago.
  static func series(_ random: inout SeededGenerator) -> [Snapshot] {
    let paces: [Int64] = [600, 3600, 20_000, 86400, 400_000, 3_000_000, 12_000_000]
    let pace = paces.randomElement(using: &random) ?? 3600
    var time = Int64.random(in: 1_000_000_000..<1_700_000_000, using: &random)
    return (0..<Int.random(in: 1...50, using: &random)).compactMap { _ in
      let isBurst = Int.random(in: 0..<4, using: &random) == 0
      time -= Int64.random(in: 1...(isBurst ? 600 : pace), using: &random)
      let tags = ["a", "b", "c"].filter { _ in Int.random(in: 0..<4, using: &random) == 0 }
      return time > 0 ? Snapshot(time: time, tags: tags) : nil
    }.reversed()
  }

  /// One to four rules.
  static func policy(_ random: inout SeededGenerator) -> Policy {
    let counts: [(String, WritableKeyPath<RetentionRules, Int?>)] = [
      ("last", \.keepLast), ("hourly", \.keepHourly), ("daily", \.keepDaily), ("weekly", \.keepWeekly),
      ("monthly", \.keepMonthly), ("yearly", \.keepYearly),
    ]
    let spans: [(String, WritableKeyPath<RetentionRules, CalendarSpan?>)] = [
      ("within", \.keepWithin), ("within-hourly", \.keepWithinHourly), ("within-daily", \.keepWithinDaily),
      ("within-weekly", \.keepWithinWeekly), ("within-monthly", \.keepWithinMonthly),
      ("within-yearly", \.keepWithinYearly),
    ]
    var policy = Policy()
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      switch Int.random(in: 0..<9, using: &random) {
      case 0..<4:
        guard let (name, path) = counts.randomElement(using: &random) else { continue }
        policy.rules[keyPath: path] = [1, 2, 3, 5, 7, 12, 40, -1].randomElement(using: &random)
        policy.flags.removeAll { $0.hasPrefix("--keep-\(name)=") }
        policy.flags.append("--keep-\(name)=\(policy.rules[keyPath: path] ?? 0)")
      case 4..<8:
        guard let (name, path) = spans.randomElement(using: &random) else { continue }
        let span = CalendarSpan(text(ofSpan: &random))
        policy.rules[keyPath: path] = span
        policy.flags.removeAll { $0.hasPrefix("--keep-\(name)=") }
        policy.flags.append("--keep-\(name)=\(span?.text ?? "")")
      default:
        guard let list = [["a"], ["a", "b"], ["c", "b"], []].randomElement(using: &random) else { continue }
        policy.rules.keepTags.append(list)
        policy.flags.append("--keep-tag=\(list.joined(separator: ","))")
      }
    }
    return policy
  }

  private static func text(ofSpan random: inout SeededGenerator) -> String {
    let units = ["y", "m", "d", "h"].filter { _ in Bool.random(using: &random) }
    let most = ["y": 5, "m": 30, "d": 90, "h": 100]
    return (units.isEmpty ? ["d"] : units).map { "\(Int.random(in: 1...(most[$0] ?? 1), using: &random))\($0)" }
      .joined()
  }

  static func ask(_ zone: String, _ series: [[Snapshot]], _ policies: [Policy]) throws -> Answer {
    struct Question: Encodable {
      var zone: String
      var series: [[Snapshot]]
      var policies: [[String]]
    }
    let restic = variable("HOLDFAST_RESTIC")
    let version = try Shell.run(restic ?? "restic", ["version"]).stdout.split(separator: " ")
    let minor = Answer(version: version.count > 1 ? String(version[1]) : "", answers: []).minor
    let flags = policies.map { policy in
      // A count that is never used up is the same.
      policy.flags.map { minor < 16 ? $0.replacing("=-1", with: "=1000000") : $0 }
    }
    let question = try JSONEncoder().encode(Question(zone: zone, series: series, policies: flags))
    let result = try Python.run(
      file: "\(projectFolder)/Tests/Fixtures/restic_forget.py",
      environment: restic.map { ["HOLDFAST_RESTIC": $0] } ?? [:], stdin: Array(question))
    try #require(result.status == 0, "\(result.stderr)")
    return try JSONDecoder().decode(Answer.self, from: Data(result.output))
  }
}

extension ResticOracle {
  /// By time: the rules that keep it, in restic's words. Points that only our own protection of the
  /// newest keeps are not included.
  static func kept(
    _ series: [Snapshot], _ policy: Policy, _ zone: ZoneRules, _ answer: Answer
  ) -> [String: [String]] {
    let points = series.map { snapshot in
      let time = Timestamp(milliseconds: snapshot.time * 1000)
      return Point(id: PointID(at: time), created: time, type: .scheduled, tags: snapshot.tags)
    }
    var retention = RetentionPolicy(policy.rules)
    retention.zone = zone
    let decision = retention.decide(points, now: Timestamp(milliseconds: 1_750_000_000_000))
    guard decision.refused == nil else { return [:] }
    let times = Dictionary(points.map { ($0.id, "\($0.created.milliseconds / 1000)") }, uniquingKeysWith: { $1 })
    return Dictionary(
      uniqueKeysWithValues: decision.keep.compactMap { verdict in
        let reasons = verdict.reasons.compactMap { inResticsWords($0, answer) }
        return reasons.isEmpty ? nil : (times[verdict.id] ?? "", reasons.sorted())
      })
  }

  /// `the last of its day (keep_daily 7)` is `daily snapshot` there.
  private static func inResticsWords(_ reason: String, _ answer: Answer) -> String? {
    if reason.hasPrefix("among the newest ") || reason == "keep all" { return "last snapshot" }
    if reason == "has no tags (keep_tag)" { return "has tags []" }
    if let tags = reason.dropping("has tags ", " (keep_tag)") {
      return "has tags [\(tags.replacing(",", with: ", "))]"
    }
    if reason.hasPrefix("the oldest ("), answer.minor < 16 { return nil }
    let oldest = reason.hasPrefix("the oldest (") && answer.minor >= 18 ? "oldest " : ""
    guard let rule = reason.split(separator: "(").last?.dropLast().split(separator: " "), rule.count == 2 else {
      return nil
    }
    let words = rule[0].split(separator: "_")
    if words == ["keep", "within"] { return "within \(rule[1])" }
    if words.count == 3 { return "\(oldest)\(words[2]) within \(rule[1])" }
    return "\(oldest)\(words[1]) snapshot"
  }
}

extension String {
  /// The text between a beginning and an end, or nil if it does not have both.
  fileprivate func dropping(_ beginning: String, _ end: String) -> String? {
    guard hasPrefix(beginning), hasSuffix(end) else { return nil }
    return String(dropFirst(beginning.count).dropLast(end.count))
  }
}
