/// The part of a file system that must stay free.
///
/// ```swift
/// var policy = RetentionPolicy(keepLast: 30)
/// policy.minFreeSpace = .percent(5)
/// ```
public enum FreeSpace: Hashable, Sendable {
  /// Bytes.
  case bytes(Int64)
  /// Percent of the whole file system, 1 to 99.
  case percent(Int)

  /// In bytes of a file system of that size.
  package func bytes(of capacity: Int64) -> Int64 {
    switch self {
    case .bytes(let bytes): bytes
    case .percent(let percent): (capacity / 100).multipliedClamped(by: Int64(percent))
    }
  }
}

/// The repository's file system. Bytes.
package struct SpaceFacts: Hashable, Sendable {
  /// Bytes that a program without privileges may still use.
  package var free: Int64
  /// 0 if the file system gives no numbers.
  package var capacity: Int64

  package init(free: Int64, capacity: Int64) {
    self.free = free
    self.capacity = capacity
  }
}

extension FreeSpace {
  /// The shortage of a file system, as text; nil if there is enough, or if the file system gives no
  /// numbers.
  package func shortage(_ space: SpaceFacts) -> String? {
    let wanted = bytes(of: space.capacity)
    guard space.capacity > 0, space.free < wanted else { return nil }
    return "\(ByteCount(space.free)) is free, less than min_free_space (\(ByteCount(wanted)))"
  }
}

extension RetentionPolicy {
  /// Removes more than the rules say, the oldest first, until there is enough space: if a backup
  /// cannot be stored, it cannot protect anything.
  ///
  /// These stay in any case: the newest verified point and the newest verified backup, the newest
  /// backup (the next one builds on it), pinned points, the points that these need, and points that
  /// cannot be authenticated. Points that stay only until a target has them are removed first. Safety
  /// backups in their grace period are removed after ordinary points, and points that an anomaly
  /// holds are removed last: the accident itself may have filled the disk.
  func makeRoom(
    _ points: [Point], _ family: PointFamily, _ space: SpaceFacts?, now: Timestamp,
    _ judgement: inout RetentionJudgement
  ) {
    guard let space, let minFreeSpace, let shortage = minFreeSpace.shortage(space) else { return }
    let wanted = minFreeSpace.bytes(of: space.capacity)
    var free = points.indices.reduce(space.free) {
      judgement.kept[$1] == nil ? $0.addingClamped(points[$1].bytes) : $0
    }
    for position in expendable(points, family, now: now, judgement) where free < wanted {
      judgement.kept[position] = nil
      judgement.remove(position, shortage)
      free = free.addingClamped(points[position].bytes)
    }
    keepNamesakes(points, &judgement)
    keepNeeded(points, family, &judgement)
  }

  /// The points that may be removed, in this order.
  private func expendable(
    _ points: [Point], _ family: PointFamily, now: Timestamp, _ judgement: RetentionJudgement
  ) -> [Int] {
    var rank = points.indices.map { position in
      if judgement.awaited.contains(position) { return -1 }
      return judgement.held.contains(position) ? 2 : points[position].isInGrace(safetyGrace, now: now) ? 1 : 0
    }
    let essential = essentials(points, family)
    // A point is removed before the points that it needs.
    for position in points.indices.sorted(by: { family.depth[$0] > family.depth[$1] }) {
      if let parent = family.parent[position] { rank[parent] = max(rank[parent], rank[position]) }
    }
    let candidates = points.indices.filter { judgement.kept[$0] != nil && !essential.contains($0) }
    let order = family.removalOrder(of: candidates, points)
    return (-1...2).flatMap { level in order.filter { rank[$0] == level } }
  }

  private func essentials(_ points: [Point], _ family: PointFamily) -> Set<Int> {
    var judgement = RetentionJudgement(count: points.count)
    protect(points, &judgement)
    for position in points.indices where points[position].status == .unauthenticated {
      judgement.keep(position, "not authenticated")
    }
    if let newest = points.indices.last(where: { points[$0].isTrusted && !points[$0].type.isSafety }) {
      judgement.keep(newest, "the newest backup")
    }
    keepNeeded(points, family, &judgement)
    keepNamesakes(points, &judgement)
    return Set(points.indices.filter { judgement.kept[$0] != nil })
  }
}

extension Point {
  fileprivate func isInGrace(_ grace: Duration, now: Timestamp) -> Bool {
    type.isSafety && (clockSuspect || !isOlder(than: grace, now: now))
  }
}
