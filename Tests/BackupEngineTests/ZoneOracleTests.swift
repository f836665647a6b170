import FoundationEssentials
import TestSupport
import Testing

@testable import BackupEngine
@testable import BackupPolicy

/// Every zone of this machine against Python's `zoneinfo`, 1970–2150.
@Suite(
  "Zones as in Python", .ownThread, .enabled(if: ZoneOracle.hasZoneFiles, "no zone files (apt install tzdata)"))
struct ZoneOracleTests {
  @Test("The offsets and the instants of wall times equal Python's")
  func everyZone() throws {
    var random = SeededGenerator(seed: 19_700_101)
    let names = ZoneFolder.system().names()
    #expect(names.count > 300)
    let instants = (0..<1000).map { _ in Int64.random(in: 0..<5_680_281_600, using: &random) }
    var questions: [String: ZoneOracle.Question] = [:]
    var zones: [String: ZoneRules] = [:]
    for name in names {
      let zone = try TimeZones.named(name)
      zones[name] = zone
      questions[name] = ZoneOracle.question(zone, common: instants, &random)
    }
    let answers = try ZoneOracle.ask(questions, instants)
    #expect(answers.count == names.count)
    for (name, answer) in answers {
      let zone = try #require(zones[name])
      try check(zone, instants + (questions[name]?.instants ?? []), answer.offsets)
      try check(zone, questions[name]?.walls ?? [], answer.instants)
    }
  }

  private func check(_ zone: ZoneRules, _ instants: [Int64], _ offsets: [Int]) throws {
    try #require(instants.count == offsets.count)
    let wrong = zip(instants, offsets).filter { zone.offset(at: Timestamp(milliseconds: $0 * 1000)) != $1 }
    #expect(wrong.isEmpty, "\(zone.name): \(wrong.prefix(3))")
  }

  private func check(_ zone: ZoneRules, _ walls: [Int64], _ instants: [[Int64]]) throws {
    try #require(walls.count == instants.count)
    let wrong = zip(walls, instants).filter { wall, expected in
      zone.instants(of: Timestamp(milliseconds: wall * 1000).civil).map { $0.milliseconds / 1000 } != expected
    }
    #expect(wrong.isEmpty, "\(zone.name): \(wrong.prefix(3))")
  }
}

enum ZoneOracle {
  /// In addition to the instants of all zones.
  struct Question: Encodable {
    var instants: [Int64]
    /// Wall times as seconds since the epoch if the wall showed UTC.
    var walls: [Int64]
  }

  struct Answer: Decodable {
    var offsets: [Int]
    var instants: [[Int64]]
  }

  static let hasZoneFiles = FileManager.default.fileExists(atPath: "/usr/share/zoneinfo/Europe/Berlin")

  /// The seconds beside changes of the clocks, and wall times on both sides and in the middle of them.
  static func question(_ zone: ZoneRules, common: [Int64], _ random: inout SeededGenerator) -> Question {
    var question = Question(instants: [], walls: common.prefix(10).map { $0 })
    let start = Int64.random(in: 0..<4_000_000_000, using: &random)
    for begin in [0, start] {
      var time = Timestamp(milliseconds: begin * 1000)
      for _ in 0..<6 {
        guard let change = zone.nextChange(after: time) else { break }
        time = change.instant
        let second = time.milliseconds / 1000
        question.instants += [second - 1, second, second + 1]
        let walls = [second + Int64(change.before), second + Int64(change.after)]
        question.walls += walls.flatMap { [$0 - 1, $0] } + [(walls[0] + walls[1]) / 2]
      }
    }
    return question
  }

  static func ask(_ questions: [String: Question], _ common: [Int64]) throws -> [String: Answer] {
    struct Request: Encodable {
      var zones: [String: Question]
      var common: [Int64]
    }
    let input = try JSONEncoder().encode(Request(zones: questions, common: common))
    let result = try Python.run(script: script, stdin: Array(input))
    try #require(result.status == 0, "\(result.stderr)")
    return try JSONDecoder().decode([String: Answer].self, from: Data(result.output))
  }

  /// Wall times belong to an instant only if that instant shows them again: zoneinfo also gives an
  /// answer for those in a gap.
  private static let script = """
    import datetime, json, sys, zoneinfo
    utc = datetime.timezone.utc
    epoch = datetime.datetime(1970, 1, 1)
    def seconds(time):
        delta = time.replace(tzinfo=None) - epoch
        return delta.days * 86400 + delta.seconds
    request = json.load(sys.stdin)
    common = [datetime.datetime.fromtimestamp(second, utc) for second in request["common"]]
    answers = {}
    for name, question in request["zones"].items():
        zone = zoneinfo.ZoneInfo(name)
        times = common + [datetime.datetime.fromtimestamp(second, utc) for second in question["instants"]]
        offsets = [time.astimezone(zone).utcoffset() for time in times]
        instants = []
        for second in question["walls"]:
            wall = epoch + datetime.timedelta(seconds=second)
            found = {wall.replace(tzinfo=zone, fold=fold).astimezone(utc) for fold in (0, 1)}
            found = [time for time in sorted(found) if time.astimezone(zone).replace(tzinfo=None) == wall]
            instants.append([seconds(time) for time in found])
        answers[name] = {"offsets": [o.days * 86400 + o.seconds for o in offsets], "instants": instants}
    json.dump(answers, sys.stdout)
    """
}
