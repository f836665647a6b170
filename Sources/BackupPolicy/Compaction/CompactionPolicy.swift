/// Decides which incrementals are merged into younger ones, so that a chain stays short and history
/// stays useful.
///
/// The rule, chain by chain:
/// - Every point stays for ``everyPoint``; then the last of each minute for ``oneAMinute``; then
///   the last of each hour for ``oneAnHour``. After that, an incremental no longer stays by itself,
///   only the fulls do.
/// - The last of a minute or an hour is the last one in *this chain*, so that no chain depends on
///   the fate of another, and it stays the same however often the rule is applied.
/// - Compaction applies to incrementals of changes. A point of any age stays if it was requested
///   (manual, scheduled), is pinned (then its archive also stays as it is), has tags or a
///   description, is damaged, anomalous, not authenticated, or has a clock that makes its age
///   doubtful. The newest point of all and the newest verified one also stay.
/// - A point stays as long as a rule of retention names it (``RetentionPolicy/promised(_:)``):
///   `keep_daily 30` has thirty days, fulls or not. Others' pages may be merged into it.
/// - A point that does not stay is merged into the next one that builds on it and stays. If none of
///   the points that build on it stay, its pages are not needed, and it is removed with them: the
///   end of a chain that is older than all limits, up to its full. Fulls are left to retention. If
///   two points build on one, that one stays as long as both do.
/// - A large link (more than half of its full's pages, and more than 16 MiB) waits until the points
///   to be merged into it are as large, so that merging never rewrites the same pages repeatedly.
package struct CompactionPolicy: Hashable, Sendable {
  /// Seconds.
  package var everyPoint: Int64 = 3600
  /// Seconds.
  package var oneAMinute: Int64 = 86400
  /// Seconds.
  package var oneAnHour: Int64 = 7 * 86400

  package init() {}

  /// The reason to remove a point of this age unless it is the last of its minute or hour; nil if
  /// every point of this age stays.
  func rule(forAge seconds: Int64) -> (bucket: Bucket, reason: String)? {
    if seconds < everyPoint { return nil }
    if seconds < oneAMinute {
      return (.minute, "older than \(Words.duration(seconds: everyPoint)): one a minute stays")
    }
    if seconds < oneAnHour { return (.hour, "older than \(Words.duration(seconds: oneAMinute)): one an hour stays") }
    return (.none, "older than \(Words.duration(seconds: oneAnHour)): only fulls are kept")
  }

  /// The intervals of time of which one point stays.
  enum Bucket: Int64, CaseIterable {
    case minute = 60_000
    case hour = 3_600_000
    case none = 0
  }

  /// The present plan of compaction.
  ///
  /// - Parameters:
  ///   - points: every point of the repository, in its order, the oldest first.
  ///   - promised: the points that rules of retention name, with the rules' reasons.
  ///   - now: wall time.
  package func plan(
    _ points: [Point], promised: [PointID: [String]] = [:], now: Timestamp
  ) -> CompactionPlan {
    let tree = CompactionTree(points)
    var going = verdicts(points, tree, now: now)
    var kept: [RetentionVerdict] = []
    for position in points.indices where going[position] != nil {
      guard let reasons = promised[points[position].id] else { continue }
      going[position] = nil
      kept.append(RetentionVerdict(id: points[position].id, reasons: reasons))
    }
    let removals = tree.removals(going)
    let merges = tree.merges(going, without: Set(removals.flatMap { $0.removed }))
    return CompactionPlan(steps: removals + merges, kept: kept)
  }
}

/// The steps of a compaction and their reasons: a value that a dry run prints and a real run
/// executes.
package struct CompactionPlan: Hashable, Sendable {
  /// In the order to do them.
  package var steps: [CompactionStep]
  /// The points that are old enough to be merged but stay because a rule of retention names them,
  /// in repository order.
  package var kept: [RetentionVerdict] = []
}

/// Some neighbouring incrementals that become one, or that end a chain and are removed.
package struct CompactionStep: Hashable, Sendable {
  /// The point that takes over the others' pages. Its state stays the same: only its parent and its
  /// stored pages change. Nil if no point needs the pages.
  package var survivor: PointID?
  /// The points to remove, the oldest first.
  package var removed: [PointID]
  /// The reasons to remove them; lower case, no full stop.
  package var reasons: [String]
  /// Of all archives of the step.
  package var bytesBefore: Int64
  /// Of the remaining archive, at most.
  package var bytesAfterAtMost: Int64
}

extension Point {
  /// Others' pages may be merged into it: its content stays the same.
  var mayTakeOver: Bool { kind == .incremental && parent != nil && isSound && !pinned }
  /// Whether compaction applies to it at all: a change that was not requested by a person, and has
  /// no tags or description.
  var isCompacted: Bool {
    mayTakeOver && type == .change && !isAnnotated && !clockSuspect
  }
}

/// The result for chains if some points do not stay. A parent that is not older, or is missing, is
/// ignored.
struct CompactionTree {
  let points: [Point]
  /// By position: the position of the parent, always a smaller one.
  let parent: [Int?]
  /// By position: the first point of its chain.
  let top: [Int]

  init(_ points: [Point]) {
    self.points = points
    let family = PointFamily(points.map(\.id), parents: points.map(\.parent), areOlder: true)
    (parent, top) = (family.parent, family.top)
  }

  /// The ends of chains in which no point stays: one step for each chain.
  ///
  /// - Parameter going: by position: the reason why a point does not stay by itself.
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

  /// All archives of a step are open at the same time; the next round joins the results.
  private static let longest = 500

  private func parts(_ run: ArraySlice<Int>) -> [ArraySlice<Int>] {
    stride(from: run.startIndex, to: run.endIndex, by: Self.longest).compactMap { start in
      let part = run[start..<min(run.endIndex, start + Self.longest)]
      return part.count > 1 ? part : nil
    }
  }

  /// If a large link were rewritten for a small one, that would be repeated with each small one.
  private func withoutHeavy(_ run: ArraySlice<Int>) -> ArraySlice<Int> {
    guard let first = run.first else { return run }
    let held = Int64(points[first].pagesStored)
    let others = run.dropFirst().reduce(Int64(0)) { $0 + Int64(points[$1].pagesStored) }
    let small = Int64(16 << 20) / Int64(max(1, points[first].pageSize))
    guard held > max(small, Int64((points[top[first]].pageCount ?? 0) / 2)), others < held else { return run }
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

  /// Each page once, assuming that nothing can be compressed; plus head, list and trailer.
  private func largest(_ survivor: Int, _ all: [Int]) -> Int64 {
    let sum = all.reduce(Int64(0)) { $0.addingClamped(Int64(points[$1].pagesStored)) }
    let pages = min(sum, Int64(points[survivor].pageCount ?? 0))
    return pages.multipliedClamped(by: Int64(points[survivor].pageSize) + 8).addingClamped(1 << 17)
  }
}

extension CompactionPolicy {
  /// By position: the reason why a point does not stay by itself; nil if it does.
  func verdicts(_ points: [Point], _ tree: CompactionTree, now: Timestamp) -> [String?] {
    let last = LastOfBucket(points, tree)
    let protected = Self.protected(points)
    return points.indices.map { position in
      let point = points[position]
      guard point.isCompacted, tree.parent[position] != nil, !protected.contains(position) else {
        return nil
      }
      guard let rule = rule(forAge: point.age(now)), !last.contains(position, point, rule.bucket) else { return nil }
      return rule.reason
    }
  }

  /// The newest point, the newest of the database's own history, the newest verified one and the newest proven one.
  private static func protected(_ points: [Point]) -> Set<Int> {
    func newest(_ belongs: (Point) -> Bool) -> Int? { points.indices.last { belongs(points[$0]) } }
    return Set(
      [
        points.indices.last, newest { $0.isSound && !$0.type.isSafety },
        newest { $0.isSound && $0.verified }, newest { $0.isSound && $0.verified && !$0.isFlawed },
        newest { $0.isSound && $0.proven },
      ].compactMap { $0 })
  }
}

/// The points that are the last of their minutes and hours, each in its chain.
private struct LastOfBucket {
  private struct Key: Hashable {
    var chain: Int
    var bucket: CompactionPolicy.Bucket
    var number: Int64
  }

  private var positions: [Key: Int] = [:]
  private let tree: CompactionTree

  init(_ points: [Point], _ tree: CompactionTree) {
    self.tree = tree
    // A point with a doubtful clock stays anyway, and must not take the place of others.
    for position in points.indices where points[position].isSound && !points[position].clockSuspect {
      for bucket in [CompactionPolicy.Bucket.minute, .hour] {
        if let key = key(position, points[position], bucket) { positions[key] = position }
      }
    }
  }

  func contains(_ position: Int, _ point: Point, _ bucket: CompactionPolicy.Bucket) -> Bool {
    key(position, point, bucket).map { positions[$0] == position } ?? false
  }

  private func key(_ position: Int, _ point: Point, _ bucket: CompactionPolicy.Bucket) -> Key? {
    guard bucket != .none else { return nil }
    return Key(
      chain: tree.top[position], bucket: bucket,
      number: point.created.milliseconds.flooredQuotient(by: bucket.rawValue))
  }
}

extension Point {
  /// Seconds; negative for a point from the future.
  func age(_ now: Timestamp) -> Int64 {
    let (difference, overflow) = now.milliseconds.subtractingReportingOverflow(created.milliseconds)
    return (overflow ? (now > created ? .max : .min) : difference).flooredQuotient(by: 1000)
  }
}
