/// The facts about a point's database that an anomaly would change. An unknown fact is no evidence.
package struct PointContent: Hashable, Sendable {
  /// Bytes of the pages in use: all but those on the freelist.
  package var usedBytes: Int64?
  /// Tables in the schema, SQLite's own included.
  package var tables: Int64?
  /// Numbers derived from the names of some of its tables, always the same for the same name. The
  /// lowest numbers are used, so that two databases with mostly the same tables share some of them.
  package var tableMarks: Set<UInt32>

  package init(usedBytes: Int64? = nil, tables: Int64? = nil, tableMarks: Set<UInt32> = []) {
    self.usedBytes = usedBytes
    self.tables = tables
    self.tableMarks = tableMarks
  }
}

/// The facts for the decision whether a new point is anomalous. *History* means the points of the
/// database itself, without those that a restore or a guard put aside.
package struct AnomalyFacts: Hashable, Sendable {
  package var content: PointContent
  /// The newest point of the history; nil for the first one.
  package var own: PointContent?
  /// The full at the start of ``own``'s chain.
  package var full: PointContent?
  /// The point that a restore of ours put into this database since ``own``.
  package var restored: PointContent?

  package init(_ content: PointContent) {
    self.content = content
  }
}

/// Decides whether a new point is anomalous, and why; the most serious reason first.
///
/// Only the *step* into an odd state is an anomaly, not every point in that state: the next point
/// is compared with this one. So a person has one point to accept, and one hold to end.
///
/// - It lost content or tables since the point before; or it lost content since its chain's full,
///   if the loss came in steps too small to notice one by one.
/// - It shares no table with the point before.
///
/// A restore of ours is never an anomaly, because a person chose that state. A point after a
/// restore is an anomaly only if it is also odd compared with the restored state, so a restore can
/// hide only an accident that looks exactly like it.
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
      // Only the step over the line counts: a state that was below it before has been reported
      // already.
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

/// A change of a database that an application seldom makes on purpose.
package enum ContentAlarm: Hashable, Sendable {
  /// It has no table any more.
  case emptied(tablesBefore: Int64)
  /// Most of its content is gone.
  case shrunk(from: Int64, to: Int64)
  /// Most of its tables are gone.
  case tablesLost(from: Int64, to: Int64)
  /// It shares no table with the database before.
  case unrelated
  /// Another file has taken its place.
  case replaced

  /// Smaller databases lose half of their pages by an ordinary DELETE.
  private static let smallestWorthAnAlarm: Int64 = 65_536

  /// The oddities of `now`, compared with `before`; the most serious first.
  package static func decide(before: ContentFacts, now: ContentFacts) -> [ContentAlarm] {
    let alarms = losses(usedBytes: (before.usedBytes, now.usedBytes), tables: (before.tables, now.tables))
    if alarms.contains(where: \.forbidsBackup) || now.file == before.file { return alarms }
    return alarms + [.replaced]
  }

  /// The losses between two states; unknown figures are no evidence.
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

  /// Whether the agent refuses the backup, because it would be empty.
  package var forbidsBackup: Bool {
    if case .emptied = self { true } else { false }
  }

  /// The description of the point that shows it, to follow its ID: lower case, no full stop.
  package var words: String {
    switch self {
    case .emptied(let tables): "no longer has any table (\(tables) before)"
    case .shrunk(let before, let now):
      "lost most of its content: \(ByteCount(before)) before, \(ByteCount(now)) now"
    case .tablesLost(let before, let now): "lost most of its tables: \(before) before, \(now) now"
    case .unrelated: "shares no table with the database before"
    case .replaced: "is of another file in the same place"
    }
  }

  /// The agent's error about the database itself.
  ///
  /// - Parameters:
  ///   - database: its path.
  ///   - lastGood: the newest point of the state before, for the hint.
  package func error(database: String, lastGood: PointID) -> HoldfastError {
    switch self {
    case .emptied(let tables):
      HoldfastError(
        .refused, "the database \(database) no longer has any table (\(tables) before), so no backup is stored",
        hint: "if this was not intended, holdfast restore \(lastGood) restores them")
    case .replaced:
      HoldfastError(
        .refused, "another file has taken the place of the database \(database)",
        hint: "if this was not intended, \(lastGood) is the newest backup of the previous file")
    case .shrunk, .tablesLost, .unrelated:
      HoldfastError(
        .refused, "the database \(database) \(words)",
        hint: "if this was not intended, \(lastGood) is the newest backup before it")
    }
  }
}

/// The facts about a database's state that are compared to distinguish work from an accident.
package struct ContentFacts: Hashable, Sendable {
  /// Names the file itself; if it differs, a file was moved to the path or created again.
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
