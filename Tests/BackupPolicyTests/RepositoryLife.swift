@testable import BackupPolicy

/// A repository's points in virtual time: stored, compacted and cleaned up as an agent would.
struct RepositoryLife: Hashable {
  private(set) var points: [SimulatedPoint] = []
  /// Every point that was ever stored.
  private(set) var ever: [Point] = []

  /// Stores a point: a full without a parent, else an incremental.
  mutating func add(
    _ type: BackupType, _ time: Timestamp, parent: PointID?, _ change: (inout SimulatedPoint) -> Void = { _ in }
  ) {
    let id = PointID(at: time, number: ever.count + 1)
    var point = SimulatedPoint(
      Point(
        id: id, sequence: Int64(ever.count), created: time, type: type, kind: parent == nil ? .full : .incremental,
        parent: parent, bytes: 1000, pagesStored: 3, pageCount: 1000, pageSize: 4096))
    change(&point)
    points.append(point)
    ever.append(point.point)
  }

  /// Merges and removes until no step is left.
  ///
  /// - Returns: the first round's plan.
  @discardableResult
  mutating func thin(by policy: RetentionPolicy?, now: Timestamp) -> CompactionPlan {
    var first: CompactionPlan?
    while true {
      let promised = policy?.promised(points.map(\.point)) ?? [:]
      let plan = CompactionPolicy().plan(points.map(\.point), promised: promised, now: now)
      first = first ?? plan
      guard !plan.steps.isEmpty else { return first ?? plan }
      for step in plan.steps { apply(step) }
    }
  }

  private mutating func apply(_ step: CompactionStep) {
    if let survivor = points.firstIndex(where: { $0.id == step.survivor }),
      let oldest = points.first(where: { $0.id == step.removed[0] })
    {
      points[survivor].takeOver(bytes: step.bytesAfterAtMost, parent: oldest.point.parent)
    }
    remove(step.removed)
  }

  mutating func cleanUp(by policy: RetentionPolicy, now: Timestamp) {
    remove(policy.decide(points.map(\.point), now: now).remove.map(\.id))
  }

  private mutating func remove(_ ids: [PointID]) {
    let gone = Set(ids)
    points.removeAll { gone.contains($0.id) }
  }

  /// Returns a point without a point that it needs, or nil if all can be restored.
  var broken: PointID? {
    let ids = Set(points.map(\.id))
    return points.first { $0.point.parent.map { !ids.contains($0) } ?? false }?.id
  }
}
