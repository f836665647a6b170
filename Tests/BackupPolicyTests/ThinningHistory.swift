import BackupPolicy

/// A repository's points in virtual time, and what a plan makes of them.
struct ThinningHistory {
  static let start = Timestamp(iso8601: "2023-11-16T14:00:00.000Z")!

  var points: [ThinningPoint] = []
  private var count = 0

  /// Adds a point that builds on the last one, unless it is a full.
  @discardableResult
  mutating func add(
    _ kind: String, seconds: Int64, parent: PointID? = nil, _ change: (inout ThinningPoint) -> Void = { _ in }
  ) -> PointID {
    count += 1
    let id = PointID(at: Timestamp(milliseconds: 0), number: count)
    var point = ThinningPoint(
      id: id, created: Self.start.adding(seconds: seconds), type: kind == "full" ? "scheduled" : "change", kind: kind,
      parent: kind == "full" ? nil : parent ?? points.last?.id, status: "completed",
      bytes: kind == "full" ? 100_000 : 1000, pagesStored: kind == "full" ? 1000 : 3, pageCount: 1000, pageSize: 4096)
    change(&point)
    points.append(point)
    return id
  }

  func plan(seconds: Int64) -> CompactionPlan {
    ThinningPolicy().plan(points, now: Self.start.adding(seconds: seconds))
  }

  /// Carries a plan out, one removal at a time.
  ///
  /// - Returns: what breaks on the way; nil where every point can be restored at any moment.
  mutating func apply(_ plan: CompactionPlan) -> String? {
    for step in plan.steps {
      let run = points.filter { step.removed.contains($0.id) || $0.id == step.survivor }
      guard run.map(\.id) == step.removed + [step.survivor].compactMap({ $0 }) else { return "not in order: \(step)" }
      if let survivor = points.firstIndex(where: { $0.id == step.survivor }) {
        for (child, parent) in zip(run.dropFirst(), run) where child.parent != parent.id { return "no run: \(step)" }
        points[survivor].parent = run[0].parent
        points[survivor].pagesStored = min(run.reduce(0) { $0 + $1.pagesStored }, points[survivor].pageCount)
      }
      for id in step.removed.reversed() {
        points.removeAll { $0.id == id }
        if let child = points.first(where: { $0.parent == id }) { return "\(child.id) needs \(id), which is gone" }
      }
    }
    return nil
  }

  /// Seconds since the start of all incrementals that are left.
  var times: [Int64] {
    points.filter { $0.kind == "incremental" }.map {
      ($0.created.milliseconds - Self.start.milliseconds) / 1000
    }
  }
}
