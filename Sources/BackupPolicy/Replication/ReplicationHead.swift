/// The newest backup of a repository after a run that left nothing to do in a target.
///
/// A plan needs a look at all backups, here and there. If the only news is a backup that builds on
/// this one, its put follows without that look.
package struct ReplicationHead: Hashable, Sendable {
  package var id: PointID
  package var sequence: Int64
  /// The sequence of the full at the start of its chain.
  package var chain: Int64

  package init(_ id: PointID, sequence: Int64, chain: Int64) {
    (self.id, self.sequence, self.chain) = (id, sequence, chain)
  }
}

extension ReplicationPolicy {
  /// Monotonic milliseconds after a plan until the next one is made: removals and compaction in the
  /// target wait for it.
  package static let planAge: Int64 = 60_000
  /// More backups are a backlog, which needs a plan.
  private static let mostDirect = 32

  /// The puts of the backups that were stored since a run left nothing to do, the oldest first: one
  /// each, or one for all of them if an interval is set.
  ///
  /// - Returns: nil if only a plan can decide: one of them does not build on the one before, or
  ///   cannot be sent.
  package func puts(of points: [Point], behind head: ReplicationHead) -> [ReplicationPut]? {
    guard !points.isEmpty, points.count <= Self.mostDirect, target.interval == 0 || points.count == 1 || target.canMerge
    else { return nil }
    var (puts, before): ([ReplicationPut], ReplicationHead) = ([], head)
    for point in points {
      guard point.kind == .incremental, point.parent == before.id, ReplicationLook.problem(of: point) == nil,
        let sequence = point.sequence, sequence > before.sequence
      else { return nil }
      puts.append(
        ReplicationPut(
          point: point.id, sequence: sequence, chain: head.chain, parent: before.id, parentSequence: before.sequence,
          merged: [], bytes: point.bytes, isNewest: point.id == points.last?.id, reason: "the newest backup"))
      before = ReplicationHead(point.id, sequence: sequence, chain: head.chain)
    }
    return target.interval == 0 ? puts : [Self.merged(puts)]
  }

  /// One archive with the changes of all, which builds on the parent of the first.
  private static func merged(_ puts: [ReplicationPut]) -> ReplicationPut {
    var put = puts[puts.count - 1]
    (put.parent, put.parentSequence) = (puts[0].parent, puts[0].parentSequence)
    put.merged = puts.dropLast().map(\.point)
    put.bytes = puts.reduce(0) { $0.addingClamped($1.bytes) }
    return put
  }
}
