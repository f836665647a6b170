import BackupPolicy

/// Known facts about the safety of one database at one moment. A command, a mail and a page make
/// their sentence from it, by ``StateSentence``.
package struct StateFacts: Hashable, Sendable {
  /// Who watches the database.
  package enum Watch: Hashable, Sendable {
    /// An agent sees each change when it happens.
    case events
    /// An agent looks at the files at intervals of this length, in milliseconds.
    case polls(interval: Int64)
    /// An agent compares the database with the newest backup.
    case starting
    /// An agent makes its last backup, and ends.
    case stopping
    /// An agent holds the repository and does not answer. The text describes it.
    case silent(String)
    /// An agent runs and accepts no commands. The text describes it.
    case deaf(String)
    /// No agent runs.
    case nobody
    /// An agent ran once, and runs no longer.
    case gone

    /// Whether an agent sees each change soon.
    package var seesChanges: Bool {
      switch self {
      case .events, .polls: true
      case .starting, .stopping, .silent, .deaf, .nobody, .gone: false
      }
    }

    /// Whether an agent answered.
    package var isAnswering: Bool {
      switch self {
      case .events, .polls, .starting, .stopping: true
      case .silent, .deaf, .nobody, .gone: false
      }
    }
  }

  package struct Alarm: Hashable, Sendable {
    package var kind: String
    package var since: Timestamp
    package var message: String
    package var hint: String?
    /// The alarm keeps changes from being backed up. Others are about targets, drills or the clock.
    package var stopsBackups: Bool

    package init(kind: String, since: Timestamp, message: String, hint: String?, stopsBackups: Bool) {
      (self.kind, self.since, self.message, self.hint) = (kind, since, message, hint)
      self.stopsBackups = stopsBackups
    }
  }

  package struct Backup: Hashable, Sendable {
    package var id: PointID
    package var created: Timestamp
    /// Its number among the backups of the repository; nil if it has none.
    package var sequence: UInt64?

    package init(id: PointID, created: Timestamp, sequence: UInt64? = nil) {
      (self.id, self.created, self.sequence) = (id, created, sequence)
    }
  }

  package struct Copy: Hashable, Sendable {
    /// The name of the target.
    package var name: String
    /// Backups that are not there yet.
    package var unsent: Int
    /// When the oldest of them was made.
    package var unsentSince: Timestamp?
    /// The number of the newest backup that was sent; nil if it is not known.
    package var newestSequence: Int64?
    /// The last upload or list without a failure; nil if each one failed.
    package var lastSuccess: Timestamp?
    /// The last error, if nothing has succeeded since then.
    package var error: String?
    /// When the agent tries again after it.
    package var nextTry: Timestamp?
    /// Its content and the requests to it; nil if they are not known.
    package var usage: TargetUsage?
    /// Of its store; nil if they are not known.
    package var prices: StorePrices?

    package init(name: String, unsent: Int, unsentSince: Timestamp?, lastSuccess: Timestamp?, error: String?) {
      (self.name, self.unsent, self.unsentSince) = (name, unsent, unsentSince)
      (self.lastSuccess, self.error) = (lastSuccess, error)
    }
  }

  package var name: String
  /// The database's path.
  package var path: String
  package var watch: Watch
  package var newest: Backup?
  /// The first change that no stored backup holds; nil if the agent knows no such change.
  package var unprotectedSince: Timestamp?
  /// A write that the agent has not seen, or that came after the newest backup if there is no agent.
  package var unseenWrite: Timestamp?
  /// A backup is being made.
  package var isRunning = false
  /// Why a pending change waits.
  package var waitingFor: String?
  /// Only the schedule starts backups: a change waits for the next run by design.
  package var waitsForRun = false
  /// Up to this time the oldest change waits, or waited, by design: for the end of the quiet hours or
  /// for a scheduled run; nil if it does not.
  package var heldUntil: Timestamp?
  /// When the pending work is tried next; nil if that is not known.
  package var waitsUntil: Timestamp?
  package var pausedUntil: Timestamp?
  package var alarms: [Alarm] = []
  /// When the newest backup was made that passed a verification; nil if none is known.
  package var verified: Timestamp?
  /// When a backup last passed a drill.
  package var proved: Timestamp?
  /// How long that restore took, in milliseconds.
  package var recovery: Int64?
  /// The next run by the clock.
  package var nextRun: Timestamp?
  package var copies: [Copy] = []
  /// Why the database is not backed up although the configuration names it; nil if it is.
  package var refusal: String?
  /// The reason why the repository cannot be read.
  package var problem: String?
  /// The next action after ``problem`` or ``refusal``.
  package var problemHint: String?
  /// This host stored backups, and their folder is away.
  package var isRepositoryAway = false

  package init(name: String, path: String, watch: Watch) {
    (self.name, self.path, self.watch) = (name, path, watch)
  }

  /// Since when the data of now is in no backup, as far as it is known; nil if it is saved.
  package var exposedSince: Timestamp? { [unprotectedSince, unseenWrite].compactMap { $0 }.min() }

  /// When a change is backed up that waits by design: after the quiet hours, or by a scheduled run;
  /// nil if no change waits for that.
  package func plannedBackup(at now: Timestamp) -> Timestamp? {
    guard unprotectedSince != nil, !isRunning, pausedUntil == nil else { return nil }
    return [heldUntil, waitsForRun ? nextRun : nil].compactMap { $0 }.filter { $0 > now }.min()
  }

  /// Since when a change is in no backup although it could be; nil if there is no such change.
  package func overdueSince(at now: Timestamp) -> Timestamp? {
    guard let since = exposedSince else { return nil }
    guard unseenWrite == nil, pausedUntil == nil else { return since }
    return plannedBackup(at: now) == nil ? max(since, heldUntil ?? since) : nil
  }
}
