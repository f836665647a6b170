/// Who descends from whom. Parents come from metadata that anybody may have written, so loops and strangers are expected.
struct PointFamily {
  /// By position: the position of the parent; nil for a full and where the parent is not among the points.
  let parent: [Int?]
  /// By position: the full at the root of its chain; nil where the chain does not lead to one.
  let root: [Int?]
  /// By position: steps up to the root (or to where the chain breaks).
  let depth: [Int]

  init(_ points: [RetentionPoint]) {
    let positions = Dictionary(points.indices.map { (points[$0].id, $0) }, uniquingKeysWith: { first, _ in first })
    let parent = points.map { point in
      point.kind == "full" ? nil : point.parent.flatMap { positions[$0] }
    }
    var root = [Int?](repeating: nil, count: points.count)
    var depth = [Int](repeating: -1, count: points.count)
    for start in points.indices where depth[start] < 0 {
      var path: [Int] = []
      var onPath: Set<Int> = []
      var next: Int? = start
      while let position = next, depth[position] < 0, onPath.insert(position).inserted {
        path.append(position)
        next = parent[position]
      }
      // `next` is settled, missing, or already on the path: then the chain runs in a circle and has no root.
      var above = next.flatMap { depth[$0] >= 0 ? $0 : nil }
      for position in path.reversed() {
        depth[position] = above.map { depth[$0] + 1 } ?? 0
        root[position] = above.map { root[$0] } ?? (points[position].kind == "full" ? position : nil)
        above = position
      }
    }
    self.parent = parent
    self.root = root
    self.depth = depth
  }

  /// Failed points that nothing depends on first, then chain by chain, the oldest first, in each the children before their
  /// parents: whenever a removal is interrupted, what is left is whole.
  func removalOrder(of positions: [Int], _ points: [RetentionPoint]) -> [Int] {
    let parents = Set(positions.compactMap { parent[$0] })
    func rank(_ position: Int) -> (Int, Int, Int, Int) {
      let isUselessLeaf = points[position].status == "failed" && !parents.contains(position)
      return (isUselessLeaf ? 0 : 1, root[position] ?? position, -depth[position], position)
    }
    return positions.sorted { rank($0) < rank($1) }
  }
}
