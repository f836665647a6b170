/// What a point tells of the database it holds, as far as an anomaly would show in it. What is not known says nothing.
package struct PointContent: Hashable, Sendable {
  /// Bytes of the pages in use: all but those on the freelist.
  package var usedBytes: Int64?
  /// Tables in the schema, SQLite's own included.
  package var tables: Int64?
  /// Numbers made from the names of some of its tables, always the same for the same name; the lowest are taken, so that two
  /// databases with mostly the same tables have some of them in common.
  package var tableMarks: Set<UInt32>

  package init(usedBytes: Int64? = nil, tables: Int64? = nil, tableMarks: Set<UInt32> = []) {
    self.usedBytes = usedBytes
    self.tables = tables
    self.tableMarks = tableMarks
  }
}

/// What the question whether a new point is anomalous rests on. *History* are the points of the database itself, not what a
/// restore or a guard put aside.
package struct AnomalyFacts: Hashable, Sendable {
  package var content: PointContent
  /// The newest point of the history; nil for the first one.
  package var own: PointContent?
  /// The full that ``own``'s chain begins with.
  package var full: PointContent?
  /// The point that a restore of ours put into this database since ``own``.
  package var restored: PointContent?

  package init(_ content: PointContent) {
    self.content = content
  }
}

/// Decides whether a new point is anomalous, and why; the gravest first.
///
/// It is the *step* into an odd state that is an anomaly, not every point that is in it: the next point is compared with this
/// one. So a person has one point to accept, and one hold to end.
///
/// - It lost content or tables since the point before; or content since its chain's full, where the loss came in slices too
///   thin to notice one by one.
/// - It shares no table with the point before.
///
/// A restore of ours is none: what it put in is a state that somebody chose. Only a state that is odd when seen from there,
/// too, is an anomaly, so that a restore hides no accident but one that looks just like it.
package enum AnomalyPolicy {
  package static func decide(_ facts: AnomalyFacts) -> [ContentAlarm] {
    guard let own = facts.own else { return [] }
    let alarms = alarms(from: own, facts.full, to: facts.content)
    if let restored = facts.restored, Self.alarms(from: restored, nil, to: facts.content).isEmpty { return [] }
    return alarms
  }

  private static func alarms(
    from before: PointContent, _ full: PointContent?, to now: PointContent
  ) -> [ContentAlarm] {
    var alarms = losses(before, now)
    if alarms.isEmpty, let full {
      // Only the step over the line: what was below it already has been told.
      alarms = losses(full, now).filter(\.isShrinking)
      if losses(full, before).contains(where: \.isShrinking) { alarms = [] }
    }
    let isStranger =
      !before.tableMarks.isEmpty && !now.tableMarks.isEmpty && before.tableMarks.isDisjoint(with: now.tableMarks)
    return isStranger ? [.unrelated] + alarms : alarms
  }

  private static func losses(_ before: PointContent, _ now: PointContent) -> [ContentAlarm] {
    ContentAlarm.losses(usedBytes: (before.usedBytes, now.usedBytes), tables: (before.tables, now.tables))
  }
}

extension ContentAlarm {
  fileprivate var isShrinking: Bool {
    if case .shrunk = self { true } else { false }
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
