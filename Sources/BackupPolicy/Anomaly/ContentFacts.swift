/// What is compared of two states of a database to tell work from an accident.
package struct ContentFacts: Hashable, Sendable {
  /// Names the file itself: another one means that a file was moved over the path or made anew.
  package var file: String
  /// Bytes of the pages in use: all but those on the freelist.
  package var usedBytes: Int64
  /// Tables in the schema, SQLite's own included.
  package var tables: Int64

  package init(file: String, usedBytes: Int64, tables: Int64) {
    self.file = file
    self.usedBytes = usedBytes
    self.tables = tables
  }
}

/// Something about a database that an application seldom does on purpose.
package enum ContentAlarm: Hashable, Sendable {
  /// It has no table any more.
  case emptied(tablesBefore: Int64)
  /// Most of its content is gone.
  case shrunk(from: Int64, to: Int64)
  /// Most of its tables are gone.
  case tablesLost(from: Int64, to: Int64)
  /// Another file stands in its place.
  case replaced

  /// Smaller databases lose half of their pages by an ordinary DELETE.
  private static let smallestWorthAnAlarm: Int64 = 65_536

  /// What is odd about `now`, seen from `before`; the gravest first.
  package static func decide(before: ContentFacts, now: ContentFacts) -> [ContentAlarm] {
    if now.tables == 0, before.tables > 0 { return [.emptied(tablesBefore: before.tables)] }
    var alarms: [ContentAlarm] = []
    if before.usedBytes >= smallestWorthAnAlarm, now.usedBytes < before.usedBytes / 2 {
      alarms.append(.shrunk(from: before.usedBytes, to: now.usedBytes))
    }
    if now.tables < before.tables - before.tables / 2 {
      alarms.append(.tablesLost(from: before.tables, to: now.tables))
    }
    if now.file != before.file { alarms.append(.replaced) }
    return alarms
  }

  /// Whether a backup would hold nothing, so that none is taken.
  package var forbidsBackup: Bool {
    if case .emptied = self { true } else { false }
  }

  /// - Parameters:
  ///   - database: its path.
  ///   - lastGood: the newest point of the state before, for the hint.
  package func error(database: String, lastGood: PointID) -> HoldfastError {
    switch self {
    case .emptied(let tables):
      HoldfastError(
        .refused, "the database \(database) has no table any more (\(tables) before), and an empty backup is not taken",
        hint: "if that was not meant, holdfast restore \(lastGood) brings them back")
    case .shrunk(let before, let now):
      HoldfastError(
        .refused,
        "the database \(database) lost most of its content: \(ByteCount(before)) before, \(ByteCount(now)) now",
        hint: "if that was not meant, \(lastGood) is the newest backup of before")
    case .tablesLost(let before, let now):
      HoldfastError(
        .refused, "the database \(database) lost most of its tables: \(before) before, \(now) now",
        hint: "if that was not meant, \(lastGood) is the newest backup of before")
    case .replaced:
      HoldfastError(
        .refused, "another file has taken the place of the database \(database)",
        hint: "if that was not meant, \(lastGood) is the newest backup of the file before")
    }
  }
}
