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
