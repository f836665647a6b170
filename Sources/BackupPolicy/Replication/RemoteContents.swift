/// The backups of one repository in a target, as the names of its archives describe them.
///
/// Names prove nothing. A reader chooses by them, and the headers of the archives that it fetches
/// confirm or refute the choice.
package struct RemoteContents: Sendable {
  /// The archives that a reader would use.
  package let names: Set<RemoteName>
  /// Those among them that a later writer did not know.
  private let superseded: Set<RemoteName>
  /// The backups on the line.
  private let counted: RemoteView
  /// All backups, superseded ones included.
  private let everything: RemoteView

  package init(_ names: some Sequence<RemoteName>, superseded: Set<RemoteName> = []) {
    self.names = Set(names)
    self.superseded = superseded
    counted = Self.view(self.names.subtracting(superseded))
    everything = Self.view(self.names)
  }

  private static func view(_ names: Set<RemoteName>) -> RemoteView {
    var inventory = RemoteInventory()
    inventory.reconcile(Array(names), now: Timestamp(milliseconds: 0))
    return RemoteView(inventory, WriterLine(), local: [:])
  }

  /// The same without archives that are missing or damaged.
  package func without(_ lost: Set<RemoteName>) -> RemoteContents {
    RemoteContents(names.subtracting(lost), superseded: superseded)
  }

  /// Every backup, the newest first. If two have one ID, the one that counts is among them.
  package var backups: [RemoteBackup] {
    let others = everything.members.filter { !isCounted($0.id) }
    let members = (counted.members + others).sorted { left, right in
      left.sequence == right.sequence ? left.id.text > right.id.text : left.sequence > right.sequence
    }
    return members.compactMap { id, sequence in
      let way = way(to: id)
      guard let name = way?.first ?? names.filter({ $0.id == id && $0.sequence == sequence }).max() else { return nil }
      return RemoteBackup(
        id: id, sequence: sequence, name: name, isSuperseded: !isCounted(id), isComplete: way != nil,
        needed: way?.map(\.id) ?? [])
    }
  }

  /// Returns the archives that a restore of a backup reads: its own first, a full last. Nil if one
  /// of them is missing.
  package func way(to id: PointID) -> [RemoteName]? { (isCounted(id) ? counted : everything).way(to: id) }

  /// The backups among which the newest or one of a time is chosen, the newest first: those on the
  /// line, with all archives that they need. Copies of damaged files are not among them.
  package var candidates: [RemoteBackup] { backups.filter(\.isCandidate) }

  /// The newest number on the line; nil if there is no backup.
  package var newestSequence: Int64? { counted.members.map(\.sequence).max() }

  /// Whether a backup is on the line of the present writer.
  private func isCounted(_ id: PointID) -> Bool { counted.contains(id) }

  /// The backup that a person names by its ID or the beginning of it.
  ///
  /// - Throws: `pointNotFound` if there is none, `usage` if several begin so.
  package func backup(_ reference: String) throws(HoldfastError) -> RemoteBackup {
    let all = backups
    return all[try PointIDReference.position(of: reference, among: all.map(\.id), in: " in the target")]
  }
}

/// A backup in a target.
package struct RemoteBackup: Hashable, Sendable {
  package let id: PointID
  package let sequence: Int64
  /// Its own archive: the one that a restore reads, or the last one if none is complete.
  package let name: RemoteName
  /// A later writer did not know it: see ``WriterLine``.
  package let isSuperseded: Bool
  /// Whether the target has all archives that it needs.
  package let isComplete: Bool
  /// The backups whose archives a restore reads, itself first; empty if it is not complete.
  package let needed: [PointID]

  package var bytes: Int64 { name.bytes }
  /// The second in which it was made, as its ID says.
  package var created: Timestamp { id.second }
  package var kind: BackupKind {
    name.archive.content == .raw ? .raw : name.parent == nil ? .full : .incremental
  }

  var isCandidate: Bool { !isSuperseded && isComplete && kind != .raw }

  /// The reason why neither `latest` nor a time selects it; nil if one may.
  package var obstacle: String? {
    if isSuperseded { return "it is superseded: another machine went on without it" }
    if !isComplete { return "an archive that it needs is missing" }
    return kind == .raw ? "it is a copy of damaged files" : nil
  }
}
