import Testing

@testable import BackupPolicy

/// Days in virtual time: Berlin, schedules `0 2 * * *` and `0 */6 * * *`, the default pauses; a
/// backup takes 2 s.
@Suite struct TriggerDayTests {
  @Test func aDayOfEachWorkloadInEachMode() throws {
    var table = [TriggerDayRow.title]
    for workload in TriggerWorkload.allCases {
      for mode in TriggerMode.allCases {
        table += try workload.day(mode, from: TriggerTimes.utc("2026-11-22 23:00:00")).map(\.text)
      }
    }
    let text = table.joined(separator: "\n")
    print(text)
    #expect(text == Self.expected)
  }

  /// The day has 25 hours in autumn and 23 in spring.
  @Test(arguments: [
    ("2026-10-24 22:00:00", 25, "2026-10-25 00:00:00"), ("2026-03-28 23:00:00", 23, "2026-03-29 01:00:00"),
  ])
  func daysOnWhichTheClocksChange(midnight: String, hours: Int64, first: String) throws {
    let rows = try TriggerWorkload.idle.day(.hybrid, from: TriggerTimes.utc(midnight), hours: hours)
    #expect(rows.map(\.count) == [4, 4])
    #expect(rows.last?.first == TriggerTimes.utc(first))
  }

  /// The reasons of four scheduled backups differ only in their time; those are one row.
  private static let expected = """
    workload, mode              backups first        last         longest wait owed  why
    constant writer, change     16363                             5.000 s      7
      change                    16363   00:00:05.000 23:59:56.360                    changing for 5 s without a pause
    constant writer, schedule   4                                 21599.520 s  44999
      scheduled                 4       02:00:00.000 18:00:00.000                    scheduled for …
      skip                      1                                                    in mode schedule a change \
    does not start a backup; the next scheduled run will include it
    constant writer, hybrid     16364                             5.000 s      10
      change                    16360   00:00:05.000 23:59:54.920                    changing for 5 s without a pause
      scheduled                 4       02:00:00.000 18:00:00.000                    scheduled for …
    bursts, change              144                               1.450 s      0
      change                    144     00:00:02.450 23:50:02.450                    changed, then quiet for 500 ms
    bursts, schedule            4                                 21599.000 s  720
      scheduled                 4       02:00:00.000 18:00:00.000                    scheduled for …
      skip                      1                                                    in mode schedule a change \
    does not start a backup; the next scheduled run will include it
    bursts, hybrid              148                               1.450 s      0
      change                    144     00:00:02.450 23:50:02.450                    changed, then quiet for 500 ms
      scheduled                 4       02:00:00.000 18:00:00.000                    scheduled for …
    a write a minute, change    1440                              0.500 s      0
      change                    1440    00:00:59.700 23:59:59.700                    changed, then quiet for 500 ms
    a write a minute, schedule  4                                 21540.800 s  360
      scheduled                 4       02:00:00.000 18:00:00.000                    scheduled for …
      skip                      1                                                    in mode schedule a change \
    does not start a backup; the next scheduled run will include it
    a write a minute, hybrid    1439                              0.800 s      1
      change                    1435    00:00:59.700 23:58:59.700                    changed, then quiet for 500 ms
      scheduled                 4       02:00:00.000 18:00:00.000                    scheduled for …
    idle, change                0                                              0
    idle, schedule              4                                              0
      scheduled                 4       02:00:00.000 18:00:00.000                    scheduled for …
    idle, hybrid                4                                              0
      scheduled                 4       02:00:00.000 18:00:00.000                    scheduled for …
    """
}
