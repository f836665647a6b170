/// What the choice between full and incremental rests on.
package struct ChainFacts: Hashable, Sendable {
  package var requested: RequestedKind
  /// The metadata's `backup_type`.
  package var backupType: String
  /// How the new point is protected: `aes-256-gcm`, `aes-256-cbc` or `none`.
  package var protection: String
  /// The newest point of the database's own history; nil where there is none.
  package var parent: ParentFacts?
  /// Nil until the database was looked at.
  package var database: DatabaseShape?

  package init(
    requested: RequestedKind, backupType: String, protection: String, parent: ParentFacts? = nil,
    database: DatabaseShape? = nil
  ) {
    self.requested = requested
    self.backupType = backupType
    self.protection = protection
    self.parent = parent
    self.database = database
  }
}

/// The database that is to be backed up.
package struct DatabaseShape: Hashable, Sendable {
  /// Symbolic links resolved.
  package var path: String
  package var pageSize: Int
  package var pageCount: UInt32
  /// Of its file; nil if they are not known.
  package var attributes: FileAttributes?

  package init(path: String, pageSize: Int, pageCount: UInt32, attributes: FileAttributes? = nil) {
    self.path = path
    self.attributes = attributes
    self.pageSize = pageSize
    self.pageCount = pageCount
  }
}

/// The point that an incremental would build on.
package struct ParentFacts: Hashable, Sendable {
  package var id: PointID
  /// The metadata's `status`.
  package var status: String
  package var isAuthenticated = true
  /// As ``ChainFacts/protection``.
  package var protection: String
  /// What is wrong with its chain, in words; nil for a whole one.
  package var chainProblem: String?
  package var isOfThisRepository = true
  /// Whether its pages were hashed with the key that the next point's would be.
  package var isUnderOurKey = true
  package var hasDigest = true
  package var pageSize: Int?
  package var databasePath: String?

  package init(id: PointID, status: String, protection: String, pageSize: Int?, databasePath: String?) {
    self.id = id
    self.status = status
    self.protection = protection
    self.pageSize = pageSize
    self.databasePath = databasePath
  }
}

/// What the newest chain weighs.
package struct ChainWeight: Hashable, Sendable {
  package var full: PointID
  /// Bytes of the full's archive.
  package var fullBytes: Int64
  package var incrementals: Int
  /// Bytes of all incrementals' archives.
  package var incrementalBytes: Int64

  package init(full: PointID, fullBytes: Int64, incrementals: Int, incrementalBytes: Int64) {
    self.full = full
    self.fullBytes = fullBytes
    self.incrementals = incrementals
    self.incrementalBytes = incrementalBytes
  }
}
