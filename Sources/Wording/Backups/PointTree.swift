import BackupEngine
import BackupPolicy

/// A full and the incrementals that lead back to it.
struct PointTree {
  let rootID: PointID
  /// Nil if it is missing, or not shown.
  var root: StoredPoint?
  /// The newest first.
  var incrementals: [StoredPoint] = []

  /// - Parameter points: the newest first; the trees are in the order of their newest points.
  static func trees(of points: [StoredPoint]) -> [PointTree] {
    let roots = roots(of: points)
    var trees: [PointTree] = []
    var places: [PointID: Int] = [:]
    for point in points {
      let rootID = roots[point.id] ?? point.id
      let place = places[rootID] ?? trees.count
      if place == trees.count {
        places[rootID] = place
        trees.append(PointTree(rootID: rootID))
      }
      if point.id == rootID { trees[place].root = point } else { trees[place].incrementals.append(point) }
    }
    return trees
  }

  /// The full of each point's chain; if a link is missing, the full that the point's own header
  /// names.
  private static func roots(of points: [StoredPoint]) -> [PointID: PointID] {
    var roots: [PointID: PointID] = [:]
    // Parents come before their children.
    for point in points.reversed() {
      let parent = point.isIncremental ? point.metadata.parentID : nil
      roots[point.id] = parent.map { roots[$0] ?? point.metadata.chainID ?? $0 } ?? point.id
    }
    return roots
  }

  /// The parent of a point, if it is neither the next older point nor, for the oldest one, the
  /// full.
  func branch(at index: Int) -> PointID? {
    let isOldest = index + 1 == incrementals.count
    // A point that is not shown may be its parent.
    guard root != nil || !isOldest else { return nil }
    let below = isOldest ? rootID : incrementals[index + 1].id
    guard let parent = incrementals[index].metadata.parentID, parent != below else { return nil }
    return parent
  }
}
