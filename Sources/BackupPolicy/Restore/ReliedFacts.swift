/// The facts on which a step relied. The executor reads them again just before the step and stops
/// if they differ.
package struct ReliedFacts: Hashable, Sendable {
  package var target: TargetIdentity
  /// The side files that may be beside the target; nil if it is open to applications, which create
  /// and remove them.
  package var sideFiles: [String]?
  /// The target's page size and text encoding, if the install method depends on them.
  package var layout: DatabaseLayout?
  /// The checksum of the archive at planning time, if one is recorded.
  package var pointChecksum: String?
  /// Bytes that the step still needs in the target's file system.
  package var freeSpace: Int64

  package init(
    target: TargetIdentity, sideFiles: [String]? = nil, layout: DatabaseLayout? = nil, pointChecksum: String? = nil,
    freeSpace: Int64 = 0
  ) {
    self.target = target
    self.sideFiles = sideFiles
    self.layout = layout
    self.pointChecksum = pointChecksum
    self.freeSpace = freeSpace
  }
}

/// The facts that decide whether one database's pages can be written into another that is open.
package struct DatabaseLayout: Hashable, Sendable {
  package var pageSize: Int
  /// As `PRAGMA encoding` spells it.
  package var textEncoding: String

  package init(pageSize: Int, textEncoding: String) {
    self.pageSize = pageSize
    self.textEncoding = textEncoding
  }
}

/// The file that a step expects at the target's path.
package enum TargetIdentity: Hashable, Sendable {
  /// No file.
  case absent
  /// This device and inode. Size and ctime may change: the database opens, so applications may
  /// continue to write it until SQLite's lock is held, and the safety backup itself may recover its
  /// journal.
  case sameFile(FileFacts)
  /// This device, inode, ctime and size: if SQLite cannot open a file, it has no writers that we
  /// could know of.
  case unchanged(FileFacts)

  func contradiction(by now: FileFacts?) -> String? {
    switch (self, now) {
    case (.absent, nil): nil
    case (.absent, .some): "a file has appeared there"
    case (_, nil): "the file has disappeared"
    case (.sameFile(let then), .some(let now)), (.unchanged(let then), .some(let now)):
      if then.device != now.device || then.inode != now.inode {
        "another file has taken its place"
      } else if case .unchanged = self, then != now {
        "the file has changed"
      } else {
        nil
      }
    }
  }
}

/// The same facts, read again.
package struct CurrentFacts: Hashable, Sendable {
  package var identity: FileFacts?
  package var sideFiles: [String]
  /// The target's page size and encoding; nil if it does not open.
  package var layout: DatabaseLayout?
  package var pointChecksum: String?
  package var freeSpace: Int64

  package init(
    identity: FileFacts?, sideFiles: [String], layout: DatabaseLayout?, pointChecksum: String?, freeSpace: Int64
  ) {
    self.identity = identity
    self.sideFiles = sideFiles
    self.layout = layout
    self.pointChecksum = pointChecksum
    self.freeSpace = freeSpace
  }
}

extension ReliedFacts {
  /// The reason why the step must no longer run; nil if nothing has changed.
  package func contradiction(by now: CurrentFacts) -> String? {
    if let change = target.contradiction(by: now.identity) { return change }
    if let sideFiles, let stranger = now.sideFiles.sorted().first(where: { !sideFiles.contains($0) }) {
      return "\(stranger) has appeared beside it"
    }
    if let layout, layout != now.layout { return "its page size or text encoding has changed" }
    if let pointChecksum, pointChecksum != now.pointChecksum { return "an archive has changed" }
    if now.freeSpace < freeSpace {
      return "only \(ByteCount(now.freeSpace)) is free now, but \(ByteCount(freeSpace)) is needed"
    }
    return nil
  }
}
