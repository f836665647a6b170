import BackupPolicy
import SQLitePages

/// What became of a backup that could have been a full or an incremental.
package enum StoringOutcome: Sendable {
  /// It is stored, as its metadata's `kind` says, and why as that.
  case stored(PointMetadata, reason: String)
  /// The database is what this point holds, so nothing was stored.
  case unchanged(since: PointID)
}

extension IncrementalSession {
  /// Begins a snapshot the way the engine does; ``store(_:kind:progress:_:)`` ends it.
  package func snapshot(of connection: DatabaseConnection) throws -> DatabaseSnapshot {
    try onDatabase {
      try DatabaseSnapshot(
        connection, scratchPath: repository.scratchCopyPath(), patience: Int(environment.busyTimeout))
    }
  }
}
