/// All facts for a restore decision, read just before it is made. Sizes are bytes; negative ones
/// count as zero.
package struct RestoreFacts: Hashable, Sendable {
  package var point: PointFacts
  package var target: TargetFacts
  /// Bytes that may still be written beside the target.
  package var freeSpaceTarget: Int64
  /// Bytes that may still be written in the repository.
  package var freeSpaceRepository: Int64
  /// Whether target and repository share one file system, and so one free space.
  package var sameFileSystem: Bool
  package var ownership: FileOwnershipFacts

  package init(
    point: PointFacts, target: TargetFacts, freeSpaceTarget: Int64, freeSpaceRepository: Int64, sameFileSystem: Bool,
    ownership: FileOwnershipFacts
  ) {
    self.ownership = ownership
    self.point = point
    self.target = target
    self.freeSpaceTarget = freeSpaceTarget
    self.freeSpaceRepository = freeSpaceRepository
    self.sameFileSystem = sameFileSystem
  }
}

/// The backup to restore, with the facts that only a restore needs.
@dynamicMemberLookup
package struct PointFacts: Hashable, Sendable {
  package var point: Point
  /// The database image's size; what staging needs.
  package var imageSize: Int64
  /// The size of the archive, or of all archives of the chain.
  package var archiveSize: Int64
  /// The image's text encoding as `PRAGMA encoding` spells it; nil until the image is staged.
  package var textEncoding: String?
  /// A checksum that shows whether the archive, or all archives of the chain, are unchanged; nil if
  /// none is recorded.
  package var checksum: String?
  /// The backups that are read for it, itself first and the full last; empty for a full.
  package var chain: [PointID]
  /// Whether an integrity check passed before for the digest that the metadata records.
  package var integrityKnown: Bool
  /// SQLite's findings in the database when it was backed up; nil if it has no known flaw.
  package var flaw: Flaw?
  /// The newest backup that is not anomalous; nil if there is none, or if this one is not anomalous.
  package var newestUsual: Alternative?
  /// The newest anomalous backup before this one; nil if there is none, or if this one is anomalous.
  package var accident: Accident?
  /// The path of the database that was backed up, if the given path is not known as that
  /// database's.
  package var otherDatabase: String?

  /// A flaw of the database that was backed up, not of the backup.
  package struct Flaw: Hashable, Sendable {
    /// In SQLite's words, in one line.
    package var findings: String
    /// The newest backup without findings.
    package var newestSound: Alternative?

    package init(findings: String, newestSound: Alternative?) {
      self.findings = findings
      self.newestSound = newestSound
    }
  }

  /// A recent backup that is marked anomalous, and that nobody has accepted. Later backups may lack
  /// the same content.
  package struct Accident: Hashable, Sendable {
    package var backup: Alternative
    /// The newest backup before it that is not anomalous.
    package var lastGood: Alternative?

    /// Milliseconds for which it is recent: as long as its hold usually lasts.
    package static let span: Int64 = 30 * 86_400_000

    package init(_ backup: Alternative, lastGood: Alternative?) { (self.backup, self.lastGood) = (backup, lastGood) }
  }

  /// A backup that a person may restore instead.
  package struct Alternative: Hashable, Sendable {
    package var id: PointID
    package var created: Timestamp

    package init(_ id: PointID, _ created: Timestamp) {
      self.id = id
      self.created = created
    }
  }

  package init(
    _ point: Point, imageSize: Int64, archiveSize: Int64, textEncoding: String? = nil, checksum: String? = nil,
    integrityKnown: Bool = false, chain: [PointID] = []
  ) {
    self.point = point
    self.imageSize = imageSize
    self.archiveSize = archiveSize
    self.textEncoding = textEncoding
    self.checksum = checksum
    self.integrityKnown = integrityKnown
    self.chain = chain
  }

  /// A property of ``point``.
  package subscript<Value>(dynamicMember property: WritableKeyPath<Point, Value>) -> Value {
    get { point[keyPath: property] }
    set { point[keyPath: property] = newValue }
  }
}

/// The facts that an open database gives about itself.
package struct DatabaseFacts: Hashable, Sendable {
  package var pageSize: Int
  package var pageCount: UInt32
  /// As `PRAGMA encoding` spells it.
  package var textEncoding: String
  /// As `PRAGMA journal_mode` spells it.
  package var journalMode: String

  package init(pageSize: Int, pageCount: UInt32, textEncoding: String, journalMode: String) {
    self.pageSize = pageSize
    self.pageCount = pageCount
    self.textEncoding = textEncoding
    self.journalMode = journalMode
  }
}

/// The state of the target's path.
package enum TargetState: Hashable, Sendable {
  case missing
  /// It opens as a database.
  case database(DatabaseFacts)
  /// It opens, but has no pages.
  case empty
  /// A file that cannot be opened as a database: something else, or too damaged. (If this process
  /// may not read it, that is an error before any decision.)
  case unreadable(reason: String)
  /// A folder, a device, a socket.
  case notAFile
  /// It is locked and cannot be read now.
  case busy(reason: String)
}

/// The file at a path and its state.
package struct FileFacts: Hashable, Sendable {
  package var device: UInt64
  package var inode: UInt64
  /// Nanoseconds since the epoch of the last change of content or inode (ctime).
  package var changed: Int64
  /// Bytes.
  package var size: Int64

  package init(device: UInt64, inode: UInt64, changed: Int64, size: Int64) {
    self.device = device
    self.inode = inode
    self.changed = changed
    self.size = size
  }
}

/// The file to restore to.
package struct TargetFacts: Hashable, Sendable {
  package var path: String
  package var state: TargetState
  /// Bytes of the database file alone.
  package var size: Int64
  /// Names of the `-wal` and `-journal` files beside it.
  package var sideFiles: [String]
  /// Bytes of those side files together.
  package var sideFileBytes: Int64
  /// The identity of the file; nil if there is no file.
  package var identity: FileFacts?
  /// Names of processes that have it open, as far as `/proc` shows; for messages only, never for a
  /// decision.
  package var openBy: [String]

  package init(
    path: String, state: TargetState, size: Int64 = 0, sideFiles: [String] = [], sideFileBytes: Int64 = 0,
    identity: FileFacts? = nil, openBy: [String] = []
  ) {
    self.path = path
    self.state = state
    self.size = size
    self.sideFiles = sideFiles
    self.sideFileBytes = sideFileBytes
    self.identity = identity
    self.openBy = openBy
  }
}

/// The staged image's own facts, read after decryption and decompression.
package struct StagedFacts: Hashable, Sendable {
  /// 0 for an empty database.
  package var pageSize: Int
  package var pageCount: UInt32
  /// As `PRAGMA encoding` spells it; nil for an empty database.
  package var textEncoding: String?
  /// Whether an integrity check passed before for the digest of the image itself, which may differ
  /// from that in the metadata. Only false adds a step to the plan; a planned check always runs.
  package var integrityKnown = true

  package init(pageSize: Int, pageCount: UInt32, textEncoding: String?) {
    self.pageSize = pageSize
    self.pageCount = pageCount
    self.textEncoding = textEncoding
  }
}
