import Testing

@testable import BackupPolicy

/// A machine that was started at noon, and holdfast an hour later. Times are in hours of a clock
/// that is never set.
@Suite("The clock that determines ages")
struct ClockVerdictTests {
  private static let noon = Timestamp(milliseconds: 1_700_136_000_000)
  private static let hour: Int64 = 3600
  private static let day: Int64 = 86400

  /// - Parameter ahead: seconds by which the wall clock is wrong.
  private func reading(_ hours: Int64, ahead: Int64 = 0, boot: String = "first", since: Int64 = 0) -> ClockReading {
    ClockReading(
      wall: wall(hours).adding(seconds: ahead), elapsed: (hours - since) * Self.hour * 1000, boot: boot)
  }

  private func wall(_ hours: Int64) -> Timestamp { Self.noon.adding(seconds: hours * Self.hour) }

  private func judge(
    _ now: ClockReading, _ record: ClockRecord, _ backups: [Timestamp] = [], kept: Bool = false
  ) -> ClockVerdict {
    ClockVerdict.judge(now, isSynchronized: kept, record) { backups }
  }

  private var known: ClockRecord { ClockRecord(believed: reading(1)) }

  @Test("A clock that agrees with the monotonic one is believed, and its reading is stored")
  func steady() {
    for ahead in [Int64(0), 59, -59] {
      let verdict = judge(reading(300, ahead: ahead), known)
      #expect(verdict.doubt == nil && verdict.time == wall(300).adding(seconds: ahead))
      #expect(verdict.record == ClockRecord(believed: reading(300, ahead: ahead)))
    }
  }

  @Test(
    "A clock that jumped ahead is not believed, whatever a time server says, and ages count on by the monotonic one")
  func ahead() {
    for ahead in [61, Self.hour, 9 * Self.day, 5 * 365 * Self.day] {
      let verdict = judge(reading(2, ahead: ahead), known, kept: true)
      #expect(verdict.doubt?.contains("the clock was set") == true && verdict.time == wall(2))
      #expect(verdict.record.believed == known.believed)
      #expect(judge(reading(3, ahead: ahead), verdict.record, kept: true).time == wall(3))
      // The clock is set right again.
      #expect(judge(reading(3), verdict.record) == ClockVerdict.believing(reading(3)))
    }
  }

  @Test("A clock that was set back shows no age that is too high")
  func back() {
    let verdict = judge(reading(2, ahead: -40 * 365 * Self.day), known, [wall(0)])
    #expect(verdict.doubt != nil && verdict.time == reading(2, ahead: -40 * 365 * Self.day).wall)
  }

  @Test("A set clock is believed after the machine has run for a day; another jump starts another day")
  func settles() {
    let ahead = 9 * Self.day
    var verdict = judge(reading(2, ahead: ahead), known)
    for hours in Int64(3)...25 {
      verdict = judge(reading(hours, ahead: ahead), verdict.record)
      #expect(verdict.doubt != nil, "\(hours)")
    }
    #expect(judge(reading(26, ahead: ahead), verdict.record).doubt == nil)
    verdict = judge(reading(26, ahead: 2 * ahead), verdict.record)
    #expect(verdict.doubt != nil && verdict.record.doubt?.observed == 0)
    #expect(judge(reading(49, ahead: 2 * ahead), verdict.record).doubt != nil)
    #expect(judge(reading(50, ahead: 2 * ahead), verdict.record).doubt == nil)
  }

  @Test("After a restart a night off raises no doubt, and nine days do unless a time server confirms them")
  func restart() {
    let morning = reading(20, boot: "second", since: 20)
    #expect(judge(morning, known).doubt == nil)
    let later = reading(1 + 9 * 24, boot: "second", since: 1 + 9 * 24)
    let verdict = judge(later, known, [wall(0)])
    #expect(verdict.doubt?.contains("9 days after") == true && verdict.time == wall(1))
    #expect(judge(later, known, [wall(0)], kept: true).doubt == nil)
    // The newest backup counts as much as the last run.
    #expect(judge(later, known, [wall(0), wall(9 * 24 - 1)]).doubt != nil)
    #expect(judge(later, ClockRecord(), [wall(9 * 24 - 1)]).doubt == nil)
    // The time observed since the restart is added.
    let hours = 6 + 9 * Int64(24)
    let sixth = judge(reading(hours, boot: "second", since: 1 + 9 * 24), verdict.record, [wall(0)])
    #expect(sixth.doubt != nil && sixth.time == wall(6))
    // Another restart takes nothing back.
    let third = judge(reading(hours + 48, boot: "third", since: hours + 48), sixth.record, [wall(0)])
    #expect(third.doubt != nil && third.record.doubt?.observed == 5 * Self.hour * 1000)
    let settled = judge(reading(hours + 67, boot: "third", since: hours + 48), third.record, [wall(0)])
    #expect(settled.doubt == nil)
  }

  @Test("If backups are usually a week apart, a week off raises no doubt")
  func weekly() {
    let weeks = (0..<5).map { wall($0 * 7 * 24) }
    let now = reading(5 * 7 * 24, boot: "second", since: 5 * 7 * 24)
    #expect(judge(now, ClockRecord(), weeks).doubt == nil)
    #expect(judge(reading(12 * 7 * 24), ClockRecord(), weeks).doubt != nil)
  }

  @Test("Backups that a wrong clock stamped do not confirm it until they cover a day")
  func ownBackups() {
    let right = (0..<6).map { wall($0) }
    let ahead = 9 * Self.day
    func wrong(_ hours: Int64) -> [Timestamp] { (6...hours).map { wall($0).adding(seconds: ahead) } }
    for hours in [Int64(6), 12, 29] {
      let verdict = judge(reading(hours, ahead: ahead, boot: "second"), ClockRecord(), right + wrong(hours))
      #expect(verdict.doubt != nil && verdict.time == wall(5), "\(hours)")
    }
    #expect(judge(reading(30, ahead: ahead, boot: "second"), ClockRecord(), right + wrong(30)).doubt == nil)
    // Nor do they count against the clock that is right again.
    #expect(judge(reading(12, boot: "second"), ClockRecord(), right + wrong(11)).doubt == nil)
  }

  @Test("A clock that began anew in 1970 is believed again when a time server has set it")
  func began() {
    let backups = (0..<30).map { wall($0) }
    let epoch = ClockReading(wall: Timestamp(milliseconds: 5000), elapsed: 5000, boot: "second")
    let doubtful = judge(epoch, known, backups)
    #expect(doubtful.doubt != nil && doubtful.time == epoch.wall)
    let now = reading(31, boot: "second", since: 30)
    #expect(judge(now, doubtful.record, backups).doubt == nil)
    // Even if 1970 was believed meanwhile.
    #expect(judge(now, ClockRecord(believed: epoch), backups).doubt == nil)
  }

  @Test("An unconfirmed clock is compared with later readings, and confirms no clock if there are other backups")
  func unconfirmed() {
    let ahead = 9 * Self.day
    let days = (0..<5).map { wall($0 * 24) }
    // The first backups on a new host have the stamps of its own clock.
    var record = judge(reading(97, ahead: ahead), ClockRecord()).record
    record = judge(reading(98, ahead: ahead), record, [wall(97).adding(seconds: ahead)]).record
    #expect(!record.isConfirmed && record.doubt == nil)
    #expect(judge(reading(99, ahead: ahead), record, days).doubt != nil)
    #expect(judge(reading(99, ahead: 2 * ahead), record, [wall(97).adding(seconds: ahead)]).doubt != nil)
    #expect(judge(reading(99), record, days) == ClockVerdict.believing(reading(99)))
    #expect(judge(reading(99, ahead: ahead), record, kept: true).record.isConfirmed)
  }

  @Test(
    "If a clock jumps to the same wrong time again, the backups that it stamped before do not confirm it",
    arguments: [false, true])
  func again(restarts: Bool) {
    let ahead = 5 * 365 * Self.day
    let right = (0..<6).map { wall($0 * 5) }
    func at(_ hours: Int64, _ ahead: Int64 = 0, _ boot: String) -> ClockReading {
      restarts ? reading(hours, ahead: ahead, boot: boot, since: hours) : reading(hours, ahead: ahead)
    }
    var record = ClockRecord(believed: reading(25))
    var backups = right
    // The clock jumps to and fro until leaps of five years are usual.
    for round in Int64(0)..<20 {
      let hours = 26 + 4 * round
      let wrong = judge(at(hours, ahead, "wrong \(round)"), record, backups)
      #expect(wrong.doubt != nil && wrong.time <= wall(hours), "\(round)")
      backups.append(wall(hours).adding(seconds: ahead))
      let back = judge(at(hours + 1, 0, "right \(round)"), wrong.record, backups)
      #expect(back.doubt == nil, "\(round)")
      backups.append(wall(hours + 1))
      record = back.record
      // Without the host's record, the backups prove the same.
      #expect(judge(at(hours + 2, ahead, "lost"), ClockRecord(), backups).doubt != nil, "\(round)")
    }
  }

  @Test("Two days of a wrong clock stop confirming it when backups continue from before them")
  func refuted() {
    let ahead = 40 * Self.day
    let right = (0..<30).map { wall($0) }
    let wrong = (30..<80).map { wall($0).adding(seconds: ahead) }
    let now = reading(82, ahead: ahead, boot: "second")
    #expect(judge(now, ClockRecord(), right + wrong).doubt == nil)
    let verdict = judge(now, ClockRecord(), right + wrong + [wall(80), wall(81)])
    #expect(verdict.doubt != nil && verdict.time <= wall(81))
    // A clock that was behind from the first differs: the day since counts.
    let late = (0..<3).map { wall($0).adding(seconds: ahead) }
    #expect(judge(reading(31, boot: "second"), ClockRecord(), late + right).doubt == nil)
  }

  @Test("Backups of a single moment weigh less than a confirmed reading")
  func moment() {
    let ahead = 5 * 365 * Self.day
    #expect(judge(reading(2, ahead: ahead), known, [wall(1).adding(seconds: ahead)]).doubt != nil)
  }

  @Test("Readings that no clock gives overflow nothing")
  func absurd() {
    for elapsed in [Int64.min, -1, 0, .max] {
      for milliseconds in [Int64.min, 0, .max] {
        let odd = ClockReading(wall: Timestamp(milliseconds: milliseconds), elapsed: elapsed, boot: "first")
        let record = ClockRecord(believed: odd, doubt: ClockRecord.Doubt(reading: odd, observed: .max))
        for now in [reading(2), odd] {
          #expect(judge(now, record, [wall(0)]).time <= now.wall)
          _ = (now.isCovered(by: odd), odd.isCovered(by: now))
        }
      }
    }
  }

  @Test("A reading is stored anew after a minute, or if the clock was set")
  func covered() {
    func later(_ milliseconds: Int64, ahead: Int64 = 0) -> ClockReading {
      var reading = reading(1, ahead: ahead)
      reading.wall.milliseconds += milliseconds
      reading.elapsed += milliseconds
      return reading
    }
    #expect(later(0).isCovered(by: later(0)) && later(59_999).isCovered(by: later(0)))
    #expect(!later(60_000).isCovered(by: later(0)) && !later(10, ahead: 61).isCovered(by: later(0)))
    #expect(!later(0).isCovered(by: later(1)) && !later(10, ahead: -Self.day).isCovered(by: later(0)))
  }

  @Test("If the kernel names no start, a count that goes on is compared, and a doubt ends by itself")
  func anonymous() {
    func at(_ hours: Int64, ahead: Int64 = 0, since: Int64 = 0) -> ClockReading {
      var reading = reading(hours, ahead: ahead, since: since)
      reading.boot = nil
      return reading
    }
    let known = ClockRecord(believed: at(1))
    var verdict = judge(at(2, ahead: 23 * Self.hour), known)
    #expect(verdict.doubt != nil && verdict.time == wall(2))
    for hours in Int64(3)...25 { verdict = judge(at(hours, ahead: 23 * Self.hour), verdict.record) }
    #expect(verdict.doubt != nil && verdict.record.doubt?.observed == 23 * Self.hour * 1000)
    #expect(judge(at(26, ahead: 23 * Self.hour), verdict.record).doubt == nil)
    #expect(judge(at(300), known) == ClockVerdict.believing(at(300)))
    // A count that began anew is another start.
    #expect(judge(at(20, since: 20), known).doubt == nil)
  }

  @Test("Without a record a reading is believed; another start, or one without a name, is not compared")
  func unknown() {
    #expect(judge(reading(5), ClockRecord()) == ClockVerdict.believing(reading(5), isConfirmed: false))
    var anonymous = reading(2, ahead: 9 * Self.day)
    anonymous.boot = nil
    #expect(judge(anonymous, ClockRecord(believed: anonymous)).doubt == nil)
    #expect(judge(anonymous, known).doubt != nil)
    // Another count of the same start, as in a container.
    #expect(judge(reading(30, ahead: 9 * Self.day, since: 30), known).doubt != nil)
  }
}
