/// Decides what to send to a target and what to remove there.
///
/// The policy compares the backups that the target should have with the backups that it has:
/// - The target should have what its own rules keep of all backups, here and there. Of the changes
///   it should have one an ``TargetSettings/interval``, and fewer with age, as in the repository.
///   The newest backup is always among them.
/// - A backup is *owed* if the target should have it and has no complete way from it to a full.
/// - The newest backup comes first: its full, then one archive with all changes since the newest
///   backup that is there. Then the others follow, the newest chain first; in a chain the oldest
///   first, so that each archive holds only the changes since the one before.
/// - If compaction has merged backups here, the merged archive is put, and then the ones that it
///   replaces are removed, the newest first. The target never merges by itself: what is no longer
///   here stays there until its chain is removed.
/// - Only the target's rules remove. What is deleted here, by whatever cause, stays there.
/// - Nothing is removed before all that is owed is there.
/// - A backup there of which nothing but the name is known is neither counted nor removed.
/// - After a take-over the first archive is a full, so that nothing of ours needs an archive that
///   another machine may still remove. Older backups are not sent.
package struct ReplicationPolicy: Hashable, Sendable {
  package var target: TargetSettings

  package init(_ target: TargetSettings) {
    self.target = target
  }

  package func plan(_ facts: ReplicationFacts) -> ReplicationPlan {
    var steps = ReplicationSteps(ReplicationLook(facts, target))
    var plan = steps.make()
    if let obstacle = facts.keyProblem ?? facts.obstacle {
      plan.steps = [.stop(reason: obstacle)]
    } else if plan.needsFull {
      plan.steps = [.stop(reason: Self.fullNeeded)]
    } else if let rest = facts.rest, rest.until > facts.time {
      plan.steps = [.wait(until: rest.until, reason: rest.reason)]
    }
    return plan
  }

  /// The reason for no step before a full.
  package static let fullNeeded = "it was taken over, and a full backup comes first"

  /// Seconds for which a backup stays in the repository because a target does not have it yet.
  package static let patience: Int64 = 7 * 86400

  /// The backups that stay in the repository for this target, with the reason: they are one more
  /// argument of ``RetentionPolicy/decide(_:now:space:awaited:)``.
  package func awaited(_ plan: ReplicationPlan, _ points: [Point], now: Timestamp) -> [PointID: [String]] {
    let owed = Set(plan.owed)
    var awaited: [PointID: [String]] = [:]
    for point in points where owed.contains(point.id) && !point.isOlder(than: Self.patience, now: now) {
      awaited[point.id] = ["not yet on \(target.name)"]
    }
    return awaited
  }

  /// The backups that compaction must not merge because rules of this target name them and it does
  /// not have them yet.
  package func promised(_ plan: ReplicationPlan, _ points: [Point], now: Timestamp) -> [PointID: [String]] {
    var promised: [PointID: [String]] = [:]
    for point in points where !point.isOlder(than: Self.patience, now: now) {
      promised[point.id] = plan.named[point.id]?.map { "\($0) on \(target.name), which does not have it yet" }
    }
    return promised
  }
}
