/// What a choice by time needs to know of a point.
package struct DatedPoint: Hashable, Sendable {
  package var id: PointID
  package var created: Timestamp
  /// Why it is not chosen, as in `it failed`; nil for a sound point of the database's own history.
  package var obstacle: String?

  package init(id: PointID, created: Timestamp, obstacle: String? = nil) {
    self.id = id
    self.created = created
    self.obstacle = obstacle
  }
}

extension [DatedPoint] {
  /// The points whose time is not to be relied on: earlier than that of a point which was stored before, or still to come. The
  /// clock was set in between.
  ///
  /// - Parameter self: every point in the order in which they were stored.
  func clockSuspects(now: Timestamp) -> Set<PointID> {
    var latest = Timestamp(milliseconds: .min)
    var suspects: Set<PointID> = []
    for point in self {
      let toCome = point.created > now.adding(seconds: 60)
      if toCome || point.created < latest { suspects.insert(point.id) }
      // One time in the future must not make all that follow suspect.
      if !toCome { latest = Swift.max(latest, point.created) }
    }
    return suspects
  }
}
