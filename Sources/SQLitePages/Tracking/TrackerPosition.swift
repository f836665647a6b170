/// How far a ``PageTracker`` has followed a database.
package struct TrackerPosition: Hashable, Sendable {
  package var snapshot: SnapshotPosition
  package var pageSize: Int
  package var textEncoding: String
  /// ``DatabaseConnection/serial`` of the connection that saw it; nil where that was another process.
  package var connection: UInt64?

  package init(_ snapshot: DatabaseSnapshot) {
    self.init(
      snapshot: snapshot.position, pageSize: snapshot.geometry.pageSize, textEncoding: snapshot.geometry.textEncoding,
      connection: snapshot.connection.serial)
  }

  package init(snapshot: SnapshotPosition, pageSize: Int, textEncoding: String, connection: UInt64?) {
    self.snapshot = snapshot
    self.pageSize = pageSize
    self.textEncoding = textEncoding
    self.connection = connection
  }
}

/// Why the pages that a tracker gathered are all that changed.
package enum TrackerProof: String, Hashable, Sendable, CaseIterable {
  /// (a) The WAL is in the same generation, and the frame at the old position still carries its cumulative checksum: the chain
  /// proves the prefix, so that all that follows is there to read.
  case sameGeneration = "same generation"
  /// (b) Nothing was written to the database file since, so that every later commit is in the present WAL.
  case untouchedFile = "untouched file"
  /// (c) The WAL was reset once while the same connection stayed open, and what is left of the old generation is whole.
  case oneReset = "one reset"
  /// A rollback-mode database whose change counter and file are the same.
  case unchangedFile = "unchanged file"
}

/// How a step of a tracker ended.
package enum TrackerOutcome: Hashable, Sendable {
  case complete(TrackerProof)
  /// Pages may have changed that were not seen, and why.
  case incomplete(String)
}
