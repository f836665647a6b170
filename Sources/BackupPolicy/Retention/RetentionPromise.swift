extension RetentionRules {
  /// Whether a rule can name an incremental. Those that count see fulls alone.
  package var nameIncrementals: Bool { !calendar.isEmpty || !keepTags.isEmpty }
}

extension RetentionPolicy {
  /// The points that a rule of the calendar or of tags names, each with the rules' reasons; not those that stay for another
  /// reason, or because another point does. Thinning leaves them alone (``ThinningPolicy``).
  ///
  /// Thinning does not change the answer, however often both take turns: the last point of an hour, a day or a year is the last
  /// of it whichever others go, and no hour, day or year that a rule counts loses its last one. The newest hour, day and so on
  /// goes on, so that its last point is one only until the next.
  ///
  /// - Parameter points: every point of the repository, in its order, the oldest first.
  package func promised(_ points: [RetentionPoint]) -> [PointID: [String]] {
    guard rules.nameIncrementals else { return [:] }
    var promised: [PointID: [String]] = [:]
    let calendar = readCalendar(points, PointFamily(points)).reading.keep
    for position in points.indices {
      let point = points[position]
      let reasons = (calendar[position] ?? []) + (point.isTrusted ? rules.tags(of: point) : [])
      if !reasons.isEmpty { promised[point.id, default: []] += reasons }
    }
    return promised
  }
}
