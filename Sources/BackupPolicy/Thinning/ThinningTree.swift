/// What becomes of chains where some points do not stay. A parent that is not older, or not there, is none.
struct ThinningTree {
  let points: [ThinningPoint]
  /// By position: the position of the parent, always a smaller one.
  let parent: [Int?]
  /// By position: the first point of its chain.
  let top: [Int]

  init(_ points: [ThinningPoint]) {
    self.points = points
    let family = PointFamily(points.map(\.id), parents: points.map(\.parent), areOlder: true)
    (parent, top) = (family.parent, family.top)
  }

  /// The ends of chains where no point stays: one step a chain.
  ///
  /// - Parameter going: by position: why a point does not stay for its own sake.
  func removals(_ going: [String?]) -> [CompactionStep] {
    var isNeeded = going.map { $0 == nil }
    for position in points.indices.reversed() where isNeeded[position] {
      if let parent = parent[position] { isNeeded[parent] = true }
    }
    let gone = Dictionary(grouping: points.indices.filter { !isNeeded[$0] }) { top[$0] }
    return gone.sorted { $0.key < $1.key }.map { step(nil, removed: $0.value, going) }
  }

  /// Runs of neighbours, each merged into its last one.
  func merges(_ going: [String?], without removed: Set<PointID>) -> [CompactionStep] {
    var children = [Int](repeating: 0, count: points.count)
    let left = points.indices.filter { !removed.contains(points[$0].id) }
    for position in left { if let parent = parent[position] { children[parent] += 1 } }
    func isMerged(_ position: Int) -> Bool { going[position] != nil && children[position] == 1 }
    return left.filter { !isMerged($0) }.flatMap { end in
      var run: [Int] = []
      var next = points[end].mayTakeOver ? end : parent[end]
      while let position = next, position == end || isMerged(position) {
        run.append(position)
        next = parent[position]
      }
      return parts(withoutHeavy(Array(run.reversed())[...])).map { part in
        step(part.last, removed: Array(part.dropLast()), going)
      }
    }
  }

  /// All archives of a step are open at a time; the next round joins what these leave.
  private static let longest = 500

  private func parts(_ run: ArraySlice<Int>) -> [ArraySlice<Int>] {
    stride(from: run.startIndex, to: run.endIndex, by: Self.longest).compactMap { start in
      let part = run[start..<min(run.endIndex, start + Self.longest)]
      return part.count > 1 ? part : nil
    }
  }

  /// Rewriting a heavy link for the sake of a light one would be repeated with each light one.
  private func withoutHeavy(_ run: ArraySlice<Int>) -> ArraySlice<Int> {
    guard let first = run.first else { return run }
    let held = Int64(points[first].pagesStored)
    let others = run.dropFirst().reduce(Int64(0)) { $0 + Int64(points[$1].pagesStored) }
    let small = Int64(16 << 20) / Int64(max(1, points[first].pageSize))
    guard held > max(small, Int64(points[top[first]].pageCount / 2)), others < held else { return run }
    return withoutHeavy(run.dropFirst())
  }

  private func step(_ survivor: Int?, removed: [Int], _ going: [String?]) -> CompactionStep {
    let all = removed + [survivor].compactMap { $0 }
    let before = all.reduce(Int64(0)) { $0.addingClamped(points[$1].bytes) }
    var reasons: [String] = []
    for reason in removed.compactMap({ going[$0] }) where !reasons.contains(reason) { reasons.append(reason) }
    return CompactionStep(
      survivor: survivor.map { points[$0].id }, removed: removed.map { points[$0].id }, reasons: reasons,
      bytesBefore: before, bytesAfterAtMost: survivor.map { min(before, largest($0, all)) } ?? 0)
  }

  /// Each page once, as if nothing could be compressed; head, list and trailer besides.
  private func largest(_ survivor: Int, _ all: [Int]) -> Int64 {
    let sum = all.reduce(Int64(0)) { $0.addingClamped(Int64(points[$1].pagesStored)) }
    let pages = min(sum, Int64(points[survivor].pageCount))
    return pages.multipliedClamped(by: Int64(points[survivor].pageSize) + 8).addingClamped(1 << 17)
  }
}
