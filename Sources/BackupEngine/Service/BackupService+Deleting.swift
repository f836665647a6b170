import BackupPolicy

/// What a removal by hand takes away.
package struct RemovalPlan: Sendable {
  /// The point that somebody named.
  package let point: StoredPoint
  /// All that go, in the order in which they go: children before their parents, the named point last.
  package let points: [StoredPoint]

  /// Bytes of all archives.
  package var archiveBytes: Int64 { points.reduce(0) { $0.addingClamped($1.metadata.compressedSize) } }
}

extension BackupService {
  /// What removing a point would take away.
  ///
  /// - Parameter withChildren: the points that need it go with it.
  /// - Throws: `refused` where others need it and are not to go, and where one of them is pinned.
  package func planDelete(_ reference: String, withChildren: Bool = false) throws -> RemovalPlan {
    let repository = try repository()
    let point = try repository.point(reference)
    let children = try repository.points().descendants(of: point.id)
    guard withChildren || children.isEmpty else { throw Self.refusal(point.id, neededBy: children) }
    try Self.requireUnpinned([point] + children, for: point.id, repository)
    return RemovalPlan(point: point, points: children.reversed() + [point])
  }

  /// Removes what a plan says: metadata first, then the archive, so that what is listed can always be restored, and some
  /// points a lock, so that others wait only briefly. A point that is gone by now is no error.
  ///
  /// - Throws: `factsChanged` where a point was stored meanwhile that needs one of them; some may be gone by then.
  package func delete(_ plan: RemovalPlan, progress: Progress = Progress()) throws {
    let repository = try repository()
    let planned = Set(plan.points.map(\.id))
    // Also if it stops half-way: what is gone by then went by our hand.
    defer { try? forgetRemoved(plan.points, repository) }
    let run = RemovalRun(repository: repository, environment: environment, progress: progress)
    try run.remove(plan.points) { left in
      let points = try repository.points(warns: false)
      if let child = points.first(where: { $0.isIncremental && !planned.contains($0.id) && $0.needs(planned) }) {
        throw Self.newChild(child, plan.point.id)
      }
      try Self.requireUnpinned(points.filter { planned.contains($0.id) }, for: plan.point.id, repository)
      let current = Dictionary(points.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
      return left.compactMap { point in
        current[point.id].flatMap { $0.metadata.sequence == point.metadata.sequence ? $0 : nil }
      }
    }
  }

  /// Removes one point.
  ///
  /// - Parameter withChildren: also removes the points that need it, the newest first.
  /// - Throws: `refused` where others need it and are not to go.
  package func delete(_ reference: String, withChildren: Bool = false) throws -> PointID {
    let plan = try planDelete(reference, withChildren: withChildren)
    try delete(plan)
    return plan.point.id
  }

  private static func refusal(_ id: PointID, neededBy children: [StoredPoint]) -> HoldfastError {
    let shown = children.reversed().prefix(5).map(\.id.text).joined(separator: ", ")
    let more = children.count > 5 ? " and \(children.count - 5) more" : ""
    return HoldfastError(
      .refused, "cannot delete \(id): \(children.count) point\(children.count == 1 ? " needs" : "s need") it",
      hint:
        "holdfast delete --with-children \(id) removes them too; or delete these first, in this order: \(shown)\(more)")
  }

  private static func requireUnpinned(
    _ points: [StoredPoint], for id: PointID, _ repository: Repository
  ) throws {
    let pins = try repository.pins.read()
    guard let pinned = points.first(where: { pins[$0.id] ?? $0.metadata.pinned }) else { return }
    let whose = pinned.id == id ? "it" : "\(pinned.id), which needs it,"
    throw HoldfastError(
      .refused, "cannot delete \(id): \(whose) is pinned", hint: "holdfast unpin \(pinned.id) lets it go")
  }

  private static func newChild(_ child: StoredPoint, _ id: PointID) -> HoldfastError {
    HoldfastError(
      .factsChanged, "cannot delete \(id) as planned: \(child.id) was stored meanwhile, and needs it",
      hint: "run the command again to see what would go now")
  }
}

extension StoredPoint {
  /// Whether its parent is among these.
  fileprivate func needs(_ ids: Set<PointID>) -> Bool { metadata.parentID.map { ids.contains($0) } ?? false }
}
