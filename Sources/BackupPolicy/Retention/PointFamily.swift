/// The descent of points. Parents come from metadata of untrusted origin, so loops and unknown
/// parents are expected.
struct PointFamily {
  /// By position: the position of the parent; nil for a full, and if the parent is not among the
  /// points.
  let parent: [Int?]
  /// By position: the point at the top of its chain; a full unless the chain is broken.
  let top: [Int]
  /// By position: steps up to the top.
  let depth: [Int]

  init(_ points: [Point]) {
    self.init(points.map(\.id), parents: points.map { $0.kind == .full ? nil : $0.parent })
  }

  /// - Parameters:
  ///   - parents: by position; nil for a full.
  ///   - areOlder: a parent that claims to be younger than its child counts as missing.
  init(_ ids: [PointID], parents: [PointID?], areOlder: Bool = false) {
    let positions = Dictionary(ids.indices.map { (ids[$0], $0) }, uniquingKeysWith: { first, _ in first })
    let parent = parents.enumerated().map { position, parent in
      parent.flatMap { positions[$0] }.flatMap { areOlder && $0 >= position ? nil : $0 }
    }
    var top = Array(ids.indices)
    var depth = [Int](repeating: -1, count: ids.count)
    for start in ids.indices where depth[start] < 0 {
      let path = Self.path(from: start, parent) { depth[$0] < 0 }
      // The parent of the last one is done, missing, or on the path itself: then the chain is a
      // loop, cut here.
      var above = path.last.flatMap { parent[$0] }.flatMap { depth[$0] < 0 ? nil : $0 }
      for position in path.reversed() {
        depth[position] = above.map { depth[$0] + 1 } ?? 0
        top[position] = above.map { top[$0] } ?? position
        above = position
      }
    }
    self.parent = parent
    self.top = top
    self.depth = depth
  }

  private init(parent: [Int?], top: [Int], depth: [Int]) {
    (self.parent, self.top, self.depth) = (parent, top, depth)
  }

  /// The same family before the other points existed. Parents that claim to be younger than their
  /// children count as missing.
  func ofFirst(_ count: Int) -> PointFamily {
    PointFamily(
      parent: parent[..<count].map { $0.flatMap { $0 < count ? $0 : nil } },
      top: top[..<count].enumerated().map { $1 < count ? $1 : $0 }, depth: Array(depth[..<count]))
  }

  /// From a point up its chain, as long as the points are new.
  private static func path(from start: Int, _ parent: [Int?], while isNew: (Int) -> Bool) -> [Int] {
    var path: [Int] = []
    var seen: Set<Int> = []
    var next: Int? = start
    while let position = next, isNew(position), seen.insert(position).inserted {
      path.append(position)
      next = parent[position]
    }
    return path
  }

  /// Failed points without dependents first, then chain by chain, the oldest first, and in each the
  /// children before their parents: if a removal is interrupted, the remaining chains are complete.
  func removalOrder(of positions: [Int], _ points: [Point]) -> [Int] {
    let parents = Set(positions.compactMap { parent[$0] })
    func rank(_ position: Int) -> (Int, Int, Int, Int) {
      let isUselessLeaf = points[position].status == .failed && !parents.contains(position)
      return (isUselessLeaf ? 0 : 1, top[position], -depth[position], position)
    }
    return positions.sorted { rank($0) < rank($1) }
  }
}
