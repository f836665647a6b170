import BackupPolicy
import Testing

@Suite struct ContentAlarmTests {
  private func decide(
    from before: (file: String, used: Int64, tables: Int64), to now: (file: String, used: Int64, tables: Int64)
  ) -> [ContentAlarm] {
    ContentAlarm.decide(
      before: ContentFacts(file: before.file, usedBytes: before.used, tables: before.tables),
      now: ContentFacts(file: now.file, usedBytes: now.used, tables: now.tables))
  }

  @Test func workIsNoAlarm() {
    #expect(decide(from: ("a", 1 << 20, 4), to: ("a", 1 << 20, 4)).isEmpty)
    #expect(decide(from: ("a", 1 << 20, 4), to: ("a", 4 << 20, 9)).isEmpty)
    #expect(decide(from: ("a", 1 << 20, 4), to: ("a", 1 << 19, 2)).isEmpty)
    // A small database may halve by an ordinary DELETE.
    #expect(decide(from: ("a", 65_535, 4), to: ("a", 4096, 4)).isEmpty)
    // A database that grows from nothing, and a schema that never had a table.
    #expect(decide(from: ("a", 4096, 0), to: ("a", 4096, 0)).isEmpty)
  }

  @Test func lostContentIsAnAlarm() {
    #expect(decide(from: ("a", 1 << 20, 4), to: ("a", (1 << 19) - 1, 4)) == [.shrunk(from: 1 << 20, to: (1 << 19) - 1)])
    #expect(decide(from: ("a", 65_536, 4), to: ("a", 4096, 4)) == [.shrunk(from: 65_536, to: 4096)])
    #expect(decide(from: ("a", 1 << 20, 4), to: ("a", 1 << 20, 1)) == [.tablesLost(from: 4, to: 1)])
    #expect(decide(from: ("a", 1 << 20, 5), to: ("a", 1 << 20, 2)) == [.tablesLost(from: 5, to: 2)])
    #expect(decide(from: ("a", 1 << 20, 4), to: ("b", 1 << 20, 4)) == [.replaced])
    #expect(decide(from: ("a", 1 << 20, 4), to: ("b", 4096, 1)).count == 3)
  }

  @Test func onlyAnEmptiedDatabaseIsNotBackedUp() {
    let emptied = decide(from: ("a", 1 << 20, 4), to: ("b", 4096, 0))
    #expect(emptied == [.emptied(tablesBefore: 4)])
    #expect(emptied.first?.forbidsBackup == true)
    let lost = decide(from: ("a", 1 << 20, 4), to: ("b", 4096, 1)).map(\.forbidsBackup)
    #expect(!lost.contains(true))
  }

  @Test func everyAlarmNamesTheBackupOfBefore() throws {
    let point = try #require(PointID("backup_20231116_143022"))
    for alarm: ContentAlarm in [
      .emptied(tablesBefore: 4), .shrunk(from: 2, to: 1), .tablesLost(from: 2, to: 0), .replaced,
    ] {
      let error = alarm.error(database: "/srv/app.db", lastGood: point)
      #expect(error.message.contains("/srv/app.db"))
      #expect(error.hint?.contains("backup_20231116_143022") == true)
    }
  }
}
