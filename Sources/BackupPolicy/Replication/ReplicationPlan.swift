/// One archive to put into a target.
package struct ReplicationPut: Hashable, Sendable {
  package var point: PointID
  package var sequence: Int64
  /// The sequence of the full at the start of the chain.
  package var chain: Int64
  /// The backup that the archive needs; nil for a full.
  package var parent: PointID?
  package var parentSequence: Int64?
  /// The backups whose pages are merged into the archive for the upload, the oldest first. If there
  /// are none, the archive is put as it is.
  package var merged: [PointID]
  /// Bytes of the archive, at most.
  package var bytes: Int64
  /// Whether it is the newest backup of the repository.
  package var isNewest: Bool
  /// Lower case, no full stop.
  package var reason: String
}

/// One step of a plan.
package enum ReplicationStep: Hashable, Sendable {
  case put(ReplicationPut)
  case remove(RemoteName, reason: String)
  /// Look again at this time.
  case wait(until: Timestamp, reason: String)
  /// Write nothing.
  case stop(reason: String)
}

/// The steps that bring a target up to date, with reasons: a value that a dry run prints and a real
/// run executes. A run ends at the first step that fails, so a removal never precedes the put that
/// makes it harmless.
package struct ReplicationPlan: Hashable, Sendable {
  /// In the order to do them.
  package var steps: [ReplicationStep] = []
  /// The backups of the repository that the target should have and does not, in repository order.
  package var owed: [PointID] = []
  /// Of these, the ones that rules of the target name, with the rules' reasons.
  package var named: [PointID: [String]] = [:]
  /// The backups whose content the target does not have: those that are owed, and those that are
  /// newer than the newest one there, also if they cannot be sent now. In repository order.
  package var missing: [MissingBackup] = []
  /// The backups that are not sent, and why not.
  package var skipped: [RetentionVerdict] = []
  /// The backups that cannot be sent, because their archives here, or those that they need, are damaged.
  package var blocked: [PointID] = []
  /// The backups in the target that cannot be restored and that the repository cannot complete.
  package var lost: [PointID] = []
  /// Objects in the target that are not what their names say.
  package var damaged: [RemoteName] = []
  /// The backups in the target that cannot be restored before something is put.
  package var broken: [PointID] = []
  /// The backups whose archives were there and are gone, and that the target should have.
  package var gone: [PointID] = []
  /// Archives in the target whose headers must be read before rules may remove their backups: at most
  /// ``mostUnread``.
  package var unread: [RemoteName] = []
  /// Archives in the target that do not count, because a later writer did not know them.
  package var superseded: [RemoteName] = []
  /// Whether the target was taken over, and the repository has no full since then. Nothing is
  /// written before it.
  package var needsFull = false
  /// The reason why the rules remove nothing.
  package var refused: String?
  /// The newest backup, if nothing is left to do after all steps; nil if something is.
  package var head: ReplicationHead?

  package init() {}

  /// A list after the loss of all memory may show thousands of archives, and the next upload must not wait
  /// for all of them.
  static let mostUnread = 200

  package var puts: [ReplicationPut] { steps.compactMap { if case .put(let put) = $0 { put } else { nil } } }
  package var removals: [RemoteName] {
    steps.compactMap { if case .remove(let name, _) = $0 { name } else { nil } }
  }
}

extension ReplicationPlan {
  /// The backups that the target should have and does not.
  package var unsent: UnsentBackups? { UnsentBackups(missing) }

  /// The same after some of the puts.
  package func unsent(after put: [RemoteName]) -> UnsentBackups? {
    let (done, newest) = (Set(put.map(\.id)), put.map(\.sequence).max() ?? -1)
    // The changes of a backup that is not owed are in the next newer archive.
    return UnsentBackups(missing.filter { !done.contains($0.id) && ($0.isOwed || $0.sequence > newest) })
  }
}

/// A backup whose content a target does not have.
package struct MissingBackup: Hashable, Sendable {
  package var id: PointID
  package var sequence: Int64
  package var created: Timestamp
  /// Whether the target should have it as a backup of its own. Otherwise its changes arrive with a newer one.
  package var isOwed: Bool

  package init(_ id: PointID, sequence: Int64, created: Timestamp, isOwed: Bool) {
    (self.id, self.sequence, self.created, self.isOwed) = (id, sequence, created, isOwed)
  }
}

/// The backups that a target should have and does not, wherever they are in the repository: the newest
/// ones, and gaps between those that are there.
package struct UnsentBackups: Hashable, Sendable {
  package var count: Int
  /// The oldest of them.
  package var oldest: PointID
  /// When it was made.
  package var since: Timestamp

  package init(count: Int, oldest: PointID, since: Timestamp) {
    (self.count, self.oldest, self.since) = (count, oldest, since)
  }

  /// Returns nil if the target has all.
  fileprivate init?(_ missing: [MissingBackup]) {
    guard let first = missing.first else { return nil }
    self.init(count: missing.count, oldest: first.id, since: first.created)
  }
}
