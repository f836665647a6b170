import TestSupport
import Testing

@testable import BackupPolicy

@Suite("Schedules in words")
struct CronWordsTests {
  @Test(
    "A schedule is described in words",
    arguments: [
      ("* * * * *", "every minute"), ("*/15 * * * *", "every 15 minutes"), ("*/1 * * * *", "every minute"),
      ("0,15,30,45 * * * *", "every 15 minutes"), ("0 * * * *", "every hour"), ("5 * * * *", "every hour at minute 5"),
      ("*/7 * * * *", "every 7 minutes from minute 0 to 56 of every hour"),
      ("5-50/5 * * * *", "every 5 minutes from minute 5 to 50 of every hour"),
      ("10/20 * * * *", "at minutes 10, 30 and 50 of every hour"),
      ("0-9 * * * *", "every minute from minute 0 to 9 of every hour"),
      ("3,14 * * * *", "at minutes 3 and 14 of every hour"), ("0 */2 * * *", "every 2 hours"),
      ("30 */6 * * *", "at 00:30, 06:30, 12:30 and 18:30 every day"),
      ("15 1-23/2 * * *", "every 2 hours from 01:15 every day"),
      ("0 */5 * * *", "at 00:00, 05:00, 10:00, 15:00 and 20:00 every day"),
      ("0 9-17 * * *", "every hour from 09:00 to 17:00 every day"),
      ("30 8-20/2 * * *", "every 2 hours from 08:30 to 20:30 every day"),
      ("0 2 * * *", "at 02:00 every day"), ("@daily", "at 00:00 every day"),
      ("0,30 2 * * *", "at 02:00 and 02:30 every day"),
      ("0 0,12 * * *", "at 00:00 and 12:00 every day"),
      ("5,35 6,18 * * *", "at 06:05, 06:35, 18:05 and 18:35 every day"),
      ("0 1,2,3,5,8,13,21 * * *", "at 01:00, 02:00, 03:00, 05:00, 08:00, 13:00 and 21:00 every day"),
      ("*/15 9-17 * * Mon-Fri", "every 15 minutes from 09:00 to 17:59 on weekdays"),
      ("* 9 * * *", "every minute from 09:00 to 09:59 every day"),
      ("*/10 8-9,20-21 * * *", "every 10 minutes from 08:00 to 09:59 and from 20:00 to 21:59 every day"),
      ("3,14,15 9-17 * * *", "at minutes 3, 14 and 15 of each hour from 09:00 to 17:59 every day"),
      ("0 2 * * 1", "at 02:00 on Mondays"), ("0 2 * * 0,6", "at 02:00 on Saturdays and Sundays"),
      ("0 2 * * 1-5", "at 02:00 on weekdays"), ("0 2 * * Tue,Thu,Sun", "at 02:00 on Tuesdays, Thursdays and Sundays"),
      ("@weekly", "at 00:00 on Sundays"), ("* * * * 6", "every minute on Saturdays"),
      ("@monthly", "at 00:00 on the 1st of every month"), ("@yearly", "at 00:00 on the 1st of January"),
      ("0 0 1,15 * *", "at 00:00 on the 1st and the 15th of every month"),
      ("0 0 1-7 * *", "at 00:00 on the 1st to the 7th of every month"),
      ("0 0 */2 * *", "at 00:00 on every 2nd day from the 1st to the 31st of every month"),
      (
        "0 0 2,3,11,12,13,21,22,23 * *",
        "at 00:00 on the 2nd, the 3rd, the 11th to the 13th and the 21st to the 23rd of every month"
      ),
      ("0 4 29 2 *", "at 04:00 on the 29th of February"),
      ("0 4 1 Jan,Apr,Jul,Oct *", "at 04:00 on the 1st of January, April, July and October"),
      ("0 4 1 6-8 *", "at 04:00 on the 1st of every month from June to August"),
      ("0 4 * 12 *", "at 04:00 every day in December"),
      ("*/5 * * 6-8 *", "every 5 minutes from June to August"),
      ("0 4 * 1,2 Mon", "at 04:00 on Mondays in January and February"),
      ("0 0 1 * 1", "at 00:00 on the 1st of every month or on Mondays"),
      ("0 0 1,2 * Sat,Sun", "at 00:00 on the 1st and the 2nd of every month or on Saturdays and Sundays"),
      ("0 0 13 10 5", "at 00:00 on the 13th of October or on Fridays in October"),
      ("0 0 13 * */5", "at 00:00 on the 13th of every month, if it is a Friday or a Sunday"),
      ("0 0 */2 * Mon", "at 00:00 on every 2nd day from the 1st to the 31st of every month, if it is a Monday"),
      ("0 0 1-31 * Mon", "at 00:00 every day"), ("0 0 1-31 * *", "at 00:00 every day"),
      ("0 0 * * 0-6", "at 00:00 every day"),
      ("0 0 30 2 *", "never: no month named has such a day"),
    ] as [(String, String)])
  func table(text: String, words: String) throws {
    #expect(try CronSchedule(text).words == words, "\(text)")
  }

  @Test("The same words describe only the same times")
  func unambiguous() throws {
    var random = SeededGenerator(seed: 20_261_123)
    var meanings: [String: (pattern: CronPattern, text: String)] = [:]
    for _ in 0..<8000 {
      let text = CronSample.any(&random)
      let schedule = try CronSchedule(text)
      let pattern = schedule.pattern.inItsSimplestForm
      guard pattern.hasDates else { continue }
      let other = meanings.updateValue((pattern, text), forKey: schedule.words)
      #expect(
        other.map { $0.pattern == pattern } ?? true, "'\(text)' and '\(other?.text ?? "")' are both \(schedule.words)")
    }
    #expect(meanings.count > 6000)
  }
}

extension CronPattern {
  /// Removes details that do not affect the times: which fields began with `*`, and a day that any
  /// other makes fit.
  fileprivate var inItsSimplestForm: CronPattern {
    var simple = self
    let fullDays = days.count == 31 || weekdays.count == 7
    if eitherDay, fullDays { (simple.days, simple.weekdays) = (BitSet64(1...31), BitSet64(0...6)) }
    simple.starred = eitherDay && !fullDays ? [] : [.dayOfMonth]
    return simple
  }
}
