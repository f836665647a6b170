/// Decides which incrementals are merged into younger ones, so that a chain stays short and history stays useful.
///
/// The rule, chain by chain:
/// - Every point stays for ``everyPoint``; then the last of each minute for ``oneAMinute``; then the last of each hour for
///   ``oneAnHour``; after that no incremental stays for its own sake, only the fulls.
/// - The last of a minute or an hour is the last one in *this chain*, so that no chain depends on what becomes of another, and
///   it stays the same however often the rule is applied.
/// - Thinning is about incrementals of changes. Whatever its age, a point stays that was asked for (manual, scheduled), is
///   pinned (then its archive stays as it is, too), has tags or a description, is damaged, odd, not authenticated, or has a clock that makes its age doubtful; so do the
///   newest point of all and the newest verified one.
/// - What a rule of retention names stays as long as the rule names it (``RetentionPolicy/promised(_:)``): `keep_daily 30` has
///   thirty days, fulls or not. Others' pages may be merged into it.
/// - A point that does not stay is merged into the next one that builds on it and stays. Where none of those that build on it
///   stays, nobody needs its pages, and it is removed with them: the end of a chain that is older than all limits, up to its
///   full. Fulls are left to retention. A point that two others build on stays as long as both do.
/// - A link that has become heavy (more than half of its full's pages, and more than 16 MiB) waits until what would be merged
///   into it is as heavy, so that merging never rewrites the same pages over and over.
package struct ThinningPolicy: Hashable, Sendable {
  /// Seconds.
  package var everyPoint: Int64 = 3600
  /// Seconds.
  package var oneAMinute: Int64 = 86400
  /// Seconds.
  package var oneAnHour: Int64 = 7 * 86400

  package init() {}

  /// Why a point of this age goes where it is not the last of its minute or hour; nil where every point stays.
  func rule(forAge seconds: Int64) -> (bucket: Bucket, reason: String)? {
    if seconds < everyPoint { return nil }
    if seconds < oneAMinute {
      return (.minute, "older than \(Words.duration(seconds: everyPoint)): one a minute stays")
    }
    if seconds < oneAnHour { return (.hour, "older than \(Words.duration(seconds: oneAMinute)): one an hour stays") }
    return (.none, "older than \(Words.duration(seconds: oneAnHour)): only fulls stay")
  }

  /// Of which stretches of time one point stays.
  enum Bucket: Int64, CaseIterable {
    case minute = 60_000
    case hour = 3_600_000
    case none = 0
  }

  /// What compaction does now.
  ///
  /// - Parameters:
  ///   - points: every point of the repository, in its order, the oldest first.
  ///   - promised: the points that rules of retention name, with the rules' reasons.
  ///   - now: wall time.
  package func plan(
    _ points: [ThinningPoint], promised: [PointID: [String]] = [:], now: Timestamp
  ) -> CompactionPlan {
    let tree = ThinningTree(points)
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

/// What compaction does, and why: a value that a dry run prints and a real run executes.
package struct CompactionPlan: Hashable, Sendable {
  /// In the order to do them.
  package var steps: [CompactionStep]
  /// The points that are old enough to go and stay because a rule of retention names them, in repository order.
  package var kept: [RetentionVerdict] = []
}

/// Some neighbouring incrementals that become one, or that end a chain and go.
package struct CompactionStep: Hashable, Sendable {
  /// The point that takes the others' pages over. It stays what it is: only what it builds on and what it holds change. Nil
  /// where no point needs the pages.
  package var survivor: PointID?
  /// The points that go, the oldest first.
  package var removed: [PointID]
  /// Why these go; lower case, no full stop.
  package var reasons: [String]
  /// Of all archives concerned.
  package var bytesBefore: Int64
  /// Of what is left of them, at most.
  package var bytesAfterAtMost: Int64
}
