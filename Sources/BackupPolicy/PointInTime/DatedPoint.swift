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
