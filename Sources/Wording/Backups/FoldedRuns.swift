import BackupEngine
import BackupPolicy

/// Incrementals, with long runs of the same kind shortened in the middle. A backup with a problem,
/// a pin, a description or tags is always shown.
struct FoldedRuns {
  enum Row {
    case point(Int)
    case folded(ArraySlice<StoredPoint>)
  }

  let rows: [Row]

  /// Of a longer run, this many of the newest and of the oldest are shown.
  private static let (newest, oldest) = (8, 3)

  init(_ points: [StoredPoint], folds: Bool) {
    var rows: [Row] = []
    var start = 0
    while start < points.count {
      let kind = Kind(points[start])
      let end = kind == nil ? start + 1 : points[start...].firstIndex { Kind($0) != kind } ?? points.count
      let run = start..<end
      // A cut that saves only one row is not worth it.
      if folds, run.count > Self.newest + Self.oldest + 1 {
        let cut = run.dropFirst(Self.newest).dropLast(Self.oldest)
        rows += run.prefix(Self.newest).map(Row.point) + [.folded(points[cut])] + run.suffix(Self.oldest).map(Row.point)
      } else {
        rows += run.map(Row.point)
      }
      start = end
    }
    self.rows = rows
  }

  private enum Kind: Equatable {
    case ordinary
    /// All of them depend on the same broken link.
    case behind(PointID)

    init?(_ point: StoredPoint) {
      let metadata = point.metadata
      guard point.provenAt == nil, point.ownProblems.isEmpty, (metadata.description ?? "").isEmpty,
        metadata.tags.isEmpty, !metadata.pinned
      else { return nil }
      if let (link, _) = point.brokenChain {
        self = .behind(link)
      } else if [.completed, .verified].contains(metadata.status) {
        self = .ordinary
      } else {
        return nil
      }
    }
  }
}
