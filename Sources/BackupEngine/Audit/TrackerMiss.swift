import BackupPolicy
import SQLitePages

/// Somebody who follows a database from point to point, and for whom a full is made.
package struct Follower {
  /// Opens its own connection, or gives the open one; it stays open.
  package var connect: () throws -> DatabaseConnection
  /// Tells what may have changed between the newest point (nil where there is none) and the snapshot that the full is made of.
  package var changes: (IncrementalParent?, DatabaseSnapshot) -> ChangedPages

  package init(
    connect: @escaping () throws -> DatabaseConnection,
    changes: @escaping (IncrementalParent?, DatabaseSnapshot) -> ChangedPages
  ) {
    self.connect = connect
    self.changes = changes
  }
}

/// What a full found out about whoever followed the database since the newest point.
package enum AuditOutcome: Hashable, Sendable {
  /// Every page that differs from that point was said to differ.
  case passed(since: PointID)
  case missed(TrackerMiss)
  /// Nothing could be compared, and why.
  case notAudited(String)
}

/// Pages that changed and were not said to: incrementals may lack them.
package struct TrackerMiss: Hashable, Sendable {
  /// Ascending.
  package var pages: [UInt32]
  /// The newest point before the full.
  package var since: PointID
  /// The incrementals that may lack pages, the newest first; empty where that point is a full.
  package var suspects: [PointID]

  package var error: HoldfastError {
    let shown = pages.prefix(5).map { "\($0)" }.joined(separator: ", ") + (pages.count > 5 ? ", …" : "")
    let points =
      switch suspects.count {
      case 0: "no incremental lacks them"
      case 1: "\(suspects[0]) may lack them"
      default: "\(suspects.count) points from \(suspects[suspects.count - 1]) to \(suspects[0]) may lack them"
      }
    return HoldfastError(
      .verificationFailed,
      "tracker miss: \(pages.count) page\(pages.count == 1 ? "" : "s") (\(shown)) differ from \(since) and were not seen to "
        + "change; \(points)",
      hint: "the full stored now is sound; restore from fulls rather than from suspect points, and please report this")
  }
}
