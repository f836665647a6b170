import TestSupport
import Testing

@testable import BackupPolicy

@Suite("Schedules that cannot be read")
struct CronErrorTests {
  @Test(
    "Each error names the column, the mistake, and the allowed values",
    arguments: [
      ("", 1, "empty", "'0 2 * * *'"), ("   ", 1, "empty", "'0 2 * * *'"),
      ("0 2 * *", 8, "weekday is missing", "'0 2 * * *'"),
      ("0 2", 4, "day of month, month and weekday are missing", "'0 2 * * *'"),
      ("0 0 2 * * *", 1, "6 fields", "'0 2 * * *'"), ("0 0 2 * * * 2026", 1, "7 fields", "'0 2 * * *'"),
      ("0 0 2 1 * ?", 1, "6 fields", "'0 2 1 * *'"), ("0 2 * * * backup", 11, "6 fields", "'0 2 * * *'"),
      ("0 2 * * backup a b", 16, "7 fields", "'0 2 * * *'"),
      ("60 * * * *", 1, "'60' is not a minute", "0-59"), ("0 24 * * *", 3, "'24' is not an hour", "midnight is 0"),
      ("0 0 0 * *", 5, "'0' is not a day of month", "1-31"), ("0 0 32 * *", 5, "'32'", "1-31"),
      ("0 0 1 0 *", 7, "'0' is not a month", "1-12"), ("0 0 1 13 *", 7, "'13'", "Jan-Dec"),
      ("0 0 * * 8", 9, "'8' is not a weekday", "0 and 7 are Sunday"),
      ("99999999999999999999 * * * *", 1, "is not a minute", "0-59"), ("-1 * * * *", 1, "missing", "0-59"),
      ("0 2 * Febuary *", 7, "'Febuary' is not a month", "did you mean Feb?"),
      ("0 2 * February *", 7, "'February'", "did you mean Feb?"), ("0 2 * Setp *", 7, "'Setp'", "did you mean Sep?"),
      ("0 2 * * Monday", 9, "'Monday' is not a weekday", "did you mean Mon?"),
      ("0 2 * * Tus", 9, "'Tus'", "did you mean Tue?"), ("0 2 * * Mon,Wen", 13, "'Wen'", "did you mean Wed?"),
      ("0 2 * Mon *", 7, "'Mon' is not a month", "a weekday, which is field 5"),
      ("0 2 * * Jan", 9, "'Jan' is not a weekday", "a month, which is field 4"),
      ("Mon 2 * * *", 1, "'Mon' is not a minute", "field 5"), ("x 2 * * *", 1, "'x' is not a minute", "0-59"),
      ("0 22-6 * * *", 3, "ends before it begins", "22-23,0-6"),
      ("50-10 * * * *", 1, "ends before it begins", "50-59,0-10"),
      ("0 0 * * Fri-Mon", 9, "'Fri-Mon' ends before", "Fri-Sun,Mon"),
      ("0 0 * * Sat-Wed", 9, "'Sat-Wed' ends before", "Sat-Sun,Mon-Wed"),
      ("0 0 * * 5-1", 9, "'5-1' ends before", "5-7,1"), ("0 0 * * 5-0", 9, "'5-0' ends before", "5-7"),
      ("0 0 * * 7-2", 9, "'7-2' ends before", "0-2"),
      ("0 0 1 Nov-Feb *", 7, "'Nov-Feb' ends before", "Nov-Dec,Jan-Feb"),
      ("0 0 25-5 * *", 5, "'25-5' ends before", "25-31,1-5"),
      ("*/0 * * * *", 3, "'0' is not a step", "*/15"), ("*/x * * * *", 3, "'x' is not a step", "*/15"),
      ("*/ * * * *", 3, "'' is not a step", "*/15"), ("*/-5 * * * *", 3, "'-5' is not a step", "*/15"),
      ("*/90 * * * *", 3, "a step of 90", "do not carry over into the next hour"),
      ("0 */36 * * *", 5, "a step of 36", "next day"), ("*/5/2 * * * *", 5, "second step", "*/15"),
      ("1-2-3 * * * *", 5, "third end", "1-5"), ("1- * * * *", 3, "missing", "0-59"),
      ("1,,2 * * * *", 3, "comma", "1,15,30"), (", * * * *", 1, "comma", "1,15,30"), ("5, * * * *", 3, "comma", "1,15"),
      ("** * * * *", 1, "'**' is not a minute", "* is used alone"), ("*5 * * * *", 1, "'*5'", "*/15"),
      ("*-5 * * * *", 1, "'*'", "* is used alone"), ("0 0 ? * *", 5, "'?'", "write * for any day of month"),
      ("0 0 L * *", 5, "'L' is not", "the last day is not supported"), ("0 0 * * 5L", 9, "'5L'", "is not supported"),
      ("0 0 15W * *", 5, "'15W'", "nearest working day"), ("0 0 LW * *", 5, "'LW'", "nearest working day"),
      ("0 0 * * 5#3", 9, "'5#3'", "n-th weekday"), ("0 0 * * Mon#1", 9, "'Mon#1'", "n-th weekday"),
      ("H 2 * * *", 1, "'H'", "in place of H"), ("H(0-29) * * * *", 1, "'H(0'", "in place of H"),
      ("@reboot", 1, "not a time", "at its start"), ("@every 5m", 1, "not supported", "*/15 * * * *"),
      ("@dayly", 1, "'@dayly'", "did you mean @daily?"), ("@", 1, "'@'", "@daily"),
      ("@daily 5", 8, "'5' follows @daily", "is used alone"), ("0 2 * * *;", 9, "'*;'", "* is used alone"),
      ("0:30 * * * *", 1, "'0:30' is not a minute", "0-59"), ("1.5 * * * *", 1, "'1.5'", "0-59"),
      ("٣ * * * *", 1, "'٣' is not a minute", "0-59"), ("0 2 * * １", 9, "'１'", "0-7"),
    ] as [(String, Int, String, String)])
  func mistakes(text: String, column: Int, problem: String, hint: String) throws {
    let error = try #require(throws: HoldfastError.self) { try CronSchedule(text) }
    #expect(error.code == .usage)
    #expect(error.message.hasPrefix("schedule '\(text)', column \(column): "), "\(error.message)")
    #expect(error.message.contains(problem), "\(error.message)")
    #expect(try #require(error.hint).contains(hint), "\(error.hint ?? "")")
    let cause = try #require(error.cause as? CronSyntaxError)
    #expect(cause.text == text && cause.column == column && cause.length >= 1)
    #expect(cause.column - 1 + cause.length <= max(1, text.count + 1))
  }

  /// If a hint gives a schedule to write, that schedule can be read.
  @Test func hintsWork() throws {
    for text in ["0 0 * * Fri-Mon", "0 0 * * 5-1", "0 0 * * 5-0", "0 0 * * 7-2", "0 0 1 Nov-Feb *", "0 22-6 * * *"] {
      let error = try #require(throws: HoldfastError.self) { try CronSchedule(text) }
      let cause = try #require(error.cause as? CronSyntaxError)
      let replacement = try #require(error.hint?.split(separator: " ").last)
      let start = text.index(text.startIndex, offsetBy: cause.column - 1)
      let end = text.index(start, offsetBy: cause.length)
      #expect(throws: Never.self) { try CronSchedule(text.replacingCharacters(start..<end, replacement)) }
    }
  }

  @Test("Any text is a schedule or an error")
  func garbage() throws {
    var random = SeededGenerator(seed: 5_151)
    let pieces = [
      "*", "/", "-", ",", " ", " ", " ", "0", "1", "5", "31", "59", "60", "Mon", "feb", "@", "@daily", "#", "L", "W",
      "?",
      "\t", "é", "🕰️", "\u{301}", "\n", "\0", "99999999999999999999999", "7",
    ]
    var accepted = 0
    for _ in 0..<20_000 {
      let text = (0..<Int.random(in: 0...16, using: &random)).map { _ in random.pick(pieces) }.joined()
      do {
        let schedule = try CronSchedule(text)
        accepted += schedule.words.isEmpty ? 0 : 1
        _ = schedule.next(after: Timestamp(milliseconds: 1_795_392_000_000), in: .utc)
      } catch let error as HoldfastError {
        #expect(error.code == .usage && error.hint != nil && error.cause is CronSyntaxError, "\(text.debugDescription)")
      }
    }
    #expect(accepted > 10)
  }

  @Test func longGarbage() throws {
    let text = String(repeating: "1,", count: 50_000)
    let error = try #require(throws: HoldfastError.self) { try CronSchedule(text) }
    #expect(error.message.count < 400)
    #expect(throws: HoldfastError.self) { try CronSchedule(String(repeating: "* ", count: 50_000)) }
    #expect(throws: HoldfastError.self) { try CronSchedule("0 0 * * " + String(repeating: "M", count: 100_000)) }
  }
}

extension String {
  fileprivate func replacingCharacters(_ range: Range<Index>, _ text: some StringProtocol) -> String {
    String(self[..<range.lowerBound]) + text + self[range.upperBound...]
  }
}
