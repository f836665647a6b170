import BackupPolicy

/// A repository's points in virtual time, and the effect of a plan on them.
struct CompactionHistory {
  static let start = Timestamp(iso8601: "2023-11-16T14:00:00.000Z")!

  var points: [Point] = []
  private var count = 0

  /// Adds a point that builds on the last one, unless it is a full.
  @discardableResult
  mutating func add(
    _ kind: BackupKind, seconds: Int64, parent: PointID? = nil, _ change: (inout Point) -> Void = { _ in }
  ) -> PointID {
    count += 1
    let id = PointID(at: Timestamp(milliseconds: 0), number: count)
    var point = Point(
      id: id, created: Self.start.adding(seconds: seconds), type: kind == .full ? .scheduled : .change, kind: kind,
      parent: kind == .full ? nil : parent ?? points.last?.id, status: .completed,
      bytes: kind == .full ? 100_000 : 1000, pagesStored: kind == .full ? 1000 : 3, pageCount: 1000, pageSize: 4096)
    change(&point)
    points.append(point)
    return id
  }

  func plan(seconds: Int64) -> CompactionPlan {
    CompactionPolicy().plan(points, now: Self.start.adding(seconds: seconds))
  }

  /// Carries a plan out, one removal at a time.
  ///
  /// - Returns: the first point that breaks on the way, or nil if every point can be restored at
  ///   any moment.
  mutating func apply(_ plan: CompactionPlan) -> String? {
    var left = Dictionary(uniqueKeysWithValues: points.map { ($0.id, $0) })
    var children: [PointID: Set<PointID>] = [:]
    for point in points { point.parent.map { _ = children[$0, default: []].insert(point.id) } }
    for step in plan.steps {
      if let id = step.survivor {
        let run = (step.removed + [id]).compactMap { left[$0] }
        for (child, parent) in zip(run.dropFirst(), run) where child.parent != parent.id { return "no run: \(step)" }
        guard run.count == step.removed.count + 1 else { return "not there: \(step)" }
        children[run[run.count - 2].id]?.remove(id)
        left[id]?.parent = run[0].parent
        left[id]?.pagesStored = min(run.reduce(0) { $0 + $1.pagesStored }, run[run.count - 1].pageCount ?? 0)
        run[0].parent.map { _ = children[$0, default: []].insert(id) }
      }
      for id in step.removed.reversed() {
        if let child = children[id]?.first { return "\(child) needs \(id), which is gone" }
        guard let point = left.removeValue(forKey: id) else { return "\(id) goes twice" }
        point.parent.map { _ = children[$0]?.remove(id) }
      }
    }
    points = points.compactMap { left[$0.id] }
    return nil
  }

  /// Seconds since the start of all incrementals that are left.
  var times: [Int64] {
    points.filter { $0.kind == .incremental }.map {
      ($0.created.milliseconds - Self.start.milliseconds) / 1000
    }
  }
}
