import Testing

@testable import BackupPolicy

/// A machine that was started at noon, and holdfast an hour later. Times are in hours of a clock that nobody sets.
@Suite("the clock that ages go by")
struct ClockVerdictTests {
  private static let noon = Timestamp(milliseconds: 1_700_136_000_000)
  private static let hour: Int64 = 3600
  private static let day: Int64 = 86400

  /// - Parameter ahead: seconds that the wall clock is wrong by.
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

  @Test("a clock that goes with the other one is believed, and read anew")
  func steady() {
    for ahead in [Int64(0), 59, -59] {
      let verdict = judge(reading(300, ahead: ahead), known)
      #expect(verdict.doubt == nil && verdict.time == wall(300).adding(seconds: ahead))
      #expect(verdict.record == ClockRecord(believed: reading(300, ahead: ahead)))
    }
  }

  @Test("one that jumped ahead is not, whatever a time server says: ages count on by the other one")
  func ahead() {
    for ahead in [61, Self.hour, 9 * Self.day, 5 * 365 * Self.day] {
      let verdict = judge(reading(2, ahead: ahead), known, kept: true)
      #expect(verdict.doubt?.contains("the clock was set") == true && verdict.time == wall(2))
      #expect(verdict.record.believed == known.believed)
      #expect(judge(reading(3, ahead: ahead), verdict.record, kept: true).time == wall(3))
      // Set right again.
      #expect(judge(reading(3), verdict.record) == ClockVerdict.believing(reading(3)))
    }
  }

  @Test("one that was set back shows no age that is too high")
  func back() {
    let verdict = judge(reading(2, ahead: -40 * 365 * Self.day), known, [wall(0)])
    #expect(verdict.doubt != nil && verdict.time == reading(2, ahead: -40 * 365 * Self.day).wall)
  }

  @Test("after a day of a running machine it is believed; a jump in between begins another day")
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

  @Test("after a restart: a night off is nothing; nine days are, unless a time server confirms them")
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
    // What was observed since the restart is added.
    let hours = 6 + 9 * Int64(24)
    let sixth = judge(reading(hours, boot: "second", since: 1 + 9 * 24), verdict.record, [wall(0)])
    #expect(sixth.doubt != nil && sixth.time == wall(6))
    // Another restart takes nothing back.
    let third = judge(reading(hours + 48, boot: "third", since: hours + 48), sixth.record, [wall(0)])
    #expect(third.doubt != nil && third.record.doubt?.observed == 5 * Self.hour * 1000)
    let settled = judge(reading(hours + 67, boot: "third", since: hours + 48), third.record, [wall(0)])
    #expect(settled.doubt == nil)
  }

  @Test("where a backup a week is the rule, a week off is nothing")
  func weekly() {
    let weeks = (0..<5).map { wall($0 * 7 * 24) }
    let now = reading(5 * 7 * 24, boot: "second", since: 5 * 7 * 24)
    #expect(judge(now, ClockRecord(), weeks).doubt == nil)
    #expect(judge(reading(12 * 7 * 24), ClockRecord(), weeks).doubt != nil)
  }

  @Test("backups that a wrong clock stamped do not speak for it, until there is a day of them")
  func ownBackups() {
    let right = (0..<6).map { wall($0) }
    let ahead = 9 * Self.day
    func wrong(_ hours: Int64) -> [Timestamp] { (6...hours).map { wall($0).adding(seconds: ahead) } }
    for hours in [Int64(6), 12, 29] {
      let verdict = judge(reading(hours, ahead: ahead, boot: "second"), ClockRecord(), right + wrong(hours))
      #expect(verdict.doubt != nil && verdict.time == wall(5), "\(hours)")
    }
    #expect(judge(reading(30, ahead: ahead, boot: "second"), ClockRecord(), right + wrong(30)).doubt == nil)
    // Nor against the clock that is right again.
    #expect(judge(reading(12, boot: "second"), ClockRecord(), right + wrong(11)).doubt == nil)
  }

  @Test("a clock that began anew in 1970 and was set by a time server is believed again")
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

  @Test("a clock that nothing spoke for is compared with later readings, and speaks for none beside other backups")
  func unconfirmed() {
    let ahead = 9 * Self.day
    let days = (0..<5).map { wall($0 * 24) }
    // The first backups on a new host are its clock's own.
    var record = judge(reading(97, ahead: ahead), ClockRecord()).record
    record = judge(reading(98, ahead: ahead), record, [wall(97).adding(seconds: ahead)]).record
    #expect(!record.isConfirmed && record.doubt == nil)
    #expect(judge(reading(99, ahead: ahead), record, days).doubt != nil)
    #expect(judge(reading(99, ahead: 2 * ahead), record, [wall(97).adding(seconds: ahead)]).doubt != nil)
    #expect(judge(reading(99), record, days) == ClockVerdict.believing(reading(99)))
    #expect(judge(reading(99, ahead: ahead), record, kept: true).record.isConfirmed)
  }

  @Test(
    "a clock that leaps to the same wrong time again is not believed for what it stamped before",
    arguments: [false, true])
  func again(restarts: Bool) {
    let ahead = 5 * 365 * Self.day
    let right = (0..<6).map { wall($0 * 5) }
    func at(_ hours: Int64, _ ahead: Int64 = 0, _ boot: String) -> ClockReading {
      restarts ? reading(hours, ahead: ahead, boot: boot, since: hours) : reading(hours, ahead: ahead)
    }
    var record = ClockRecord(believed: reading(25))
    var backups = right
    // To and fro until leaps of five years are the usual thing.
    for round in Int64(0)..<20 {
      let hours = 26 + 4 * round
      let wrong = judge(at(hours, ahead, "wrong \(round)"), record, backups)
      #expect(wrong.doubt != nil && wrong.time <= wall(hours), "\(round)")
      backups.append(wall(hours).adding(seconds: ahead))
      let back = judge(at(hours + 1, 0, "right \(round)"), wrong.record, backups)
      #expect(back.doubt == nil, "\(round)")
      backups.append(wall(hours + 1))
      record = back.record
      // Without what the host remembers, the backups tell the same.
      #expect(judge(at(hours + 2, ahead, "lost"), ClockRecord(), backups).doubt != nil, "\(round)")
    }
  }

  @Test("two days of a wrong clock speak for it no more once backups go on from before them")
  func refuted() {
    let ahead = 40 * Self.day
    let right = (0..<30).map { wall($0) }
    let wrong = (30..<80).map { wall($0).adding(seconds: ahead) }
    let now = reading(82, ahead: ahead, boot: "second")
    #expect(judge(now, ClockRecord(), right + wrong).doubt == nil)
    let verdict = judge(now, ClockRecord(), right + wrong + [wall(80), wall(81)])
    #expect(verdict.doubt != nil && verdict.time <= wall(81))
    // A clock that was behind from the first is another matter: the day since counts.
    let late = (0..<3).map { wall($0).adding(seconds: ahead) }
    #expect(judge(reading(31, boot: "second"), ClockRecord(), late + right).doubt == nil)
  }

  @Test("backups of a moment weigh less than a reading that was confirmed")
  func moment() {
    let ahead = 5 * 365 * Self.day
    #expect(judge(reading(2, ahead: ahead), known, [wall(1).adding(seconds: ahead)]).doubt != nil)
  }

  @Test("readings that no clock gives overflow nothing")
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

  @Test("a reading is stored anew after a minute, or if the clock was set")
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

  @Test("if the kernel names no start, a count that goes on is compared, and a doubt ends by itself")
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

  @Test("where nothing is known there is nothing to lose; another start, or one without a name, is not compared")
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
