import BackupEngine
import BackupPolicy

/// The puts of new backups between two plans: a plan costs a look at every backup, and a backup that
/// builds on the newest one in the target needs none.
struct DirectPuts {
  private var head: ReplicationHead
  /// The facts of the last plan; only the repository's ID and number are used.
  private var facts: ShippingFacts
  /// The backups that wait for the end of the interval, the oldest first.
  private var waiting: [PointMetadata] = []
  /// Monotonic milliseconds; until then no plan is needed.
  private let end: Int64

  /// Returns nil if a run left something to do.
  init?(after outcome: ReplicationOutcome, _ facts: ShippingFacts, planned: Int64) {
    guard let head = outcome.plan.head, outcome.isComplete else { return nil }
    (self.head, self.facts, end) = (head, facts, planned.addingClamped(ReplicationPolicy.planAge))
    self.facts.points = []
  }

  /// One run for the backups that were stored since the last one.
  struct Run {
    var outcome: ReplicationOutcome
    /// For the next run; nil if it needs a plan.
    var next: DirectPuts?
  }

  /// Puts the backups that were stored since the last run.
  ///
  /// - Parameters:
  ///   - atOnce: also if the interval of the target is not over.
  ///   - time: monotonic milliseconds.
  ///   - period: seconds between two lists of the target.
  /// - Returns: nil if a plan is needed.
  func run(
    _ stored: [PointMetadata], atOnce: Bool, at time: Int64, by policy: ReplicationPolicy,
    in session: ReplicationSession, checkedEvery period: Int64, now: Timestamp, _ progress: Progress
  ) throws -> Run? {
    var next = self
    next.waiting += stored
    guard time < end, session.isReady(checkedEvery: period, now: now),
      let puts = policy.puts(of: next.waiting.map { Point($0) }, behind: head)
    else { return nil }
    var plan = ReplicationPlan()
    plan.owed = next.waiting.map(\.id)
    plan.missing = next.waiting.map {
      MissingBackup($0.id, sequence: Int64(clamping: $0.sequence ?? 0), created: $0.created, isOwed: false)
    }
    if !atOnce, let due = policy.target.due(after: session.lastPut, now: now) {
      plan.steps = [.wait(until: due, reason: policy.target.pause)]
      var outcome = ReplicationOutcome(plan: plan)
      outcome.next = due
      return Run(outcome: outcome, next: next)
    }
    plan.steps = puts.map { .put($0) }
    (next.facts.points, next.facts.now) = (next.waiting.map { Point($0) }, now)
    let filenames = Dictionary(next.waiting.map { ($0.id, $0.filename) }, uniquingKeysWith: { $1 })
    let outcome = try session.execute(plan, next.facts, filenames: filenames, progress)
    guard outcome.isComplete, let last = puts.last else { return Run(outcome: outcome, next: nil) }
    next.head = ReplicationHead(last.point, sequence: last.sequence, chain: last.chain)
    (next.waiting, next.facts.points) = ([], [])
    return Run(outcome: outcome, next: next)
  }
}
