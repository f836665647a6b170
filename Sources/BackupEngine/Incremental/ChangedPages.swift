import BackupPolicy
import SQLitePages

/// What may have changed since an incremental's parent.
package enum ChangedPages: Hashable, Sendable {
  /// All pages that changed are among these; pages that did not do no harm. Ascending, each once.
  case superset([UInt32])
  /// Nobody knows: every page is compared.
  case unknown
}

/// The point that an incremental would build on.
package struct IncrementalParent: Hashable, Sendable {
  package var id: PointID
  package var sequence: UInt64
  /// Its archive.
  package var filename: String
  /// The digest of the database as it holds it, in hexadecimal; nil where an older program stored it.
  package var digest: String?
}

extension IncrementalParent {
  init(_ point: StoredPoint) {
    self.init(
      id: point.id, sequence: point.metadata.sequence ?? 0, filename: point.name.text, digest: point.metadata.digest)
  }
}

/// What became of an incremental.
package enum IncrementalOutcome: Sendable {
  /// It is stored; the position is that of the snapshot it was made from.
  case stored(PointMetadata, SnapshotPosition)
  /// The database is what its newest point holds, so nothing was stored.
  case unchanged(since: IncrementalParent, SnapshotPosition)
  /// Only a full will do, and why.
  case fullNeeded(reason: String)
}
