/// The allowed requests of a target's credentials.
package enum TargetAccess: String, Hashable, Sendable, CaseIterable {
  case full
  /// Nothing is removed: another machine prunes.
  case append
  /// Objects are only put; not even a list can be read.
  case writeOnly = "write-only"
}

/// The settings of one target that decide what it holds.
package struct TargetSettings: Hashable, Sendable {
  /// For reasons.
  package var name: String
  package var access = TargetAccess.full
  /// The target's own rules. Without a rule nothing is removed.
  package var retention: RetentionPolicy
  /// Milliseconds between two puts of the newest backup; in between, changes are merged for the
  /// upload. 0: every change is put.
  package var interval: Int64 = 10_000
  /// Changes become fewer with age, as in the repository.
  package var thins = true
  package var compaction = CompactionPolicy()
  /// Whether this machine can merge archives for an upload. It cannot if it has no key to read
  /// them.
  package var canMerge = true
  /// The store refuses removals for some time, so nothing is removed.
  package var isLocked = false

  package init(name: String, retention: RetentionPolicy) {
    (self.name, self.retention) = (name, retention)
  }

  /// Whether archives may be removed.
  var removes: Bool { access == .full && !isLocked }

  /// When the newest backup may be put; nil for now. A last put in the future means nothing.
  package func due(after last: Timestamp?, now: Timestamp) -> Timestamp? {
    guard let last, last <= now else { return nil }
    let due = Timestamp(milliseconds: last.milliseconds.addingClamped(interval))
    return due > now ? due : nil
  }

  /// The reason for a wait until then.
  package var pause: String { "one backup every \(Words.duration(milliseconds: interval)) is sent" }
}

/// The facts for a look at one target.
package struct ReplicationFacts: Hashable, Sendable {
  /// Every point of the repository, in its order, the oldest first.
  package var points: [Point]
  package var inventory: RemoteInventory
  package var line: WriterLine
  /// When the newest backup was last put; nil if that is unknown.
  package var lastPut: Timestamp?
  /// No request may be sent before this time: a store that failed rests.
  package var rest: ReplicationRest?
  /// The reason why nothing may be written: foreign backups, or another writer.
  package var obstacle: String?
  /// Known archives that the last list lacked.
  package var gone: [RemoteName] = []
  /// The reason why the key is wrong; nil if it is not.
  package var keyProblem: String?
  /// The newest number that was used when this machine took the target over; nil if it never did.
  /// Backups up to it are the past of two machines, so no new archive is put for them or on them.
  package var takenOverAt: Int64?
  /// Objects in the target that are not what their names say; the inventory does not have them.
  package var damaged: Set<RemoteName> = []
  /// Archives in the target whose headers were read and prove nothing, or could not be read: they are not
  /// read again for now.
  package var unprovable: Set<RemoteName> = []
  /// The backups whose archives in the repository are damaged: they are not sent.
  package var damagedHere: Set<PointID> = []
  /// Wall time.
  package var time: Timestamp

  package init(_ points: [Point], _ inventory: RemoteInventory, _ line: WriterLine, now: Timestamp) {
    (self.points, self.inventory, self.line, time) = (points, inventory, line, now)
  }
}

/// A time without requests.
package struct ReplicationRest: Hashable, Sendable {
  package var until: Timestamp
  /// Lower case, no full stop.
  package var reason: String

  package init(until: Timestamp, reason: String) {
    (self.until, self.reason) = (until, reason)
  }
}
