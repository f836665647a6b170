/// Something about a database that an application seldom does on purpose.
package enum ContentAlarm: Hashable, Sendable {
  /// It has no table any more.
  case emptied(tablesBefore: Int64)
  /// Most of its content is gone.
  case shrunk(from: Int64, to: Int64)
  /// Most of its tables are gone.
  case tablesLost(from: Int64, to: Int64)
  /// None of its tables was there before.
  case unrelated
  /// Another file stands in its place.
  case replaced

  /// Smaller databases lose half of their pages by an ordinary DELETE.
  private static let smallestWorthAnAlarm: Int64 = 65_536

  /// What is odd about `now`, seen from `before`; the gravest first.
  package static func decide(before: ContentFacts, now: ContentFacts) -> [ContentAlarm] {
    let alarms = losses(usedBytes: (before.usedBytes, now.usedBytes), tables: (before.tables, now.tables))
    if alarms.contains(where: \.forbidsBackup) || now.file == before.file { return alarms }
    return alarms + [.replaced]
  }

  /// What was lost between two states; figures that are not known say nothing.
  static func losses(
    usedBytes: (before: Int64?, after: Int64?), tables: (before: Int64?, after: Int64?)
  ) -> [ContentAlarm] {
    var alarms: [ContentAlarm] = []
    if let before = tables.before, let now = tables.after {
      if now == 0, before > 0 { return [.emptied(tablesBefore: before)] }
      if now < before - before / 2 { alarms.append(.tablesLost(from: before, to: now)) }
    }
    if let before = usedBytes.before, let now = usedBytes.after, before >= smallestWorthAnAlarm, now < before / 2 {
      alarms.insert(.shrunk(from: before, to: now), at: 0)
    }
    return alarms
  }

  /// Whether the agent takes no backup, which would hold nothing.
  package var forbidsBackup: Bool {
    if case .emptied = self { true } else { false }
  }

  /// What is said of the point that shows it, after its ID: lower case, no full stop.
  package var words: String {
    switch self {
    case .emptied(let tables): "has no table any more (\(tables) before)"
    case .shrunk(let before, let now):
      "lost most of its content: \(ByteCount(before)) before, \(ByteCount(now)) now"
    case .tablesLost(let before, let now): "lost most of its tables: \(before) before, \(now) now"
    case .unrelated: "has none of the tables that were there before"
    case .replaced: "is of another file in the same place"
    }
  }

  /// What the agent says of the database itself.
  ///
  /// - Parameters:
  ///   - database: its path.
  ///   - lastGood: the newest point of the state before, for the hint.
  package func error(database: String, lastGood: PointID) -> HoldfastError {
    switch self {
    case .emptied(let tables):
      HoldfastError(
        .refused, "the database \(database) has no table any more (\(tables) before), and an empty backup is not taken",
        hint: "if that was not meant, holdfast restore \(lastGood) brings them back")
    case .replaced:
      HoldfastError(
        .refused, "another file has taken the place of the database \(database)",
        hint: "if that was not meant, \(lastGood) is the newest backup of the file before")
    case .shrunk, .tablesLost, .unrelated:
      HoldfastError(
        .refused, "the database \(database) \(words)",
        hint: "if that was not meant, \(lastGood) is the newest backup of before")
    }
  }
}
