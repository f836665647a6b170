import BackupPolicy
import SQLitePages

/// A full as the auditor of whoever followed the database: it hashes every page, so that comparing those hashes with the newest
/// point's costs 32 bytes of reading a page, and nothing of the database.
///
/// A running digest agrees with itself even where a page was missed; this is what finds it.
struct FullAudit {
  let repository: Repository
  let environment: EngineEnvironment
  let parent: StoredPoint
  /// What was said to have changed, ascending.
  let followed: [UInt32]

  /// Compares, and marks what cannot be relied on any more. Needs the exclusive lock, and the whole new table.
  ///
  /// It comes before the full is committed: were it to stop in between, the points would be marked and the old table gone with
  /// the next point, and never the other way round.
  func judge(_ table: PageDigestsWriter, pageSize: Int, pageCount: UInt32, digestKey: [UInt8]) -> AuditOutcome {
    do {
      guard let known = try knownPages(pageSize, digestKey) else {
        return .notAudited("the page hashes of \(parent.id) are missing or of another kind")
      }
      let changed = try table.pages(differingFrom: known, pageCount: pageCount)
      let missed = Self.unexpected(changed, followed)
      if missed.isEmpty { return .passed(since: parent.id) }
      return .missed(TrackerMiss(pages: missed, since: parent.id, suspects: try mark()))
    } catch {
      // The full itself is as good as without an audit.
      return .notAudited("\(error)")
    }
  }

  /// The table of the newest point's hashes, where they can be compared with the new ones.
  private func knownPages(_ pageSize: Int, _ digestKey: [UInt8]) throws -> PageDigests? {
    let file = try repository.files.open(repository.path(parent.name.text), .readNoFollow)
    defer { repository.files.close(file) }
    let image = try LinkImage(parent, file, credentials: repository.credentials, repository.files)
    guard let digest = image.digest, image.pageSize == pageSize, image.digestKey == digestKey else { return nil }
    return try PageDigests.open(
      PageDigestsHeader(point: parent.id, digest: digest, pageSize: image.pageSize, pageCount: image.pageCount),
      in: repository)
  }

  /// Page 1 is always compared, whatever a tracker says. Both ascend.
  private static func unexpected(_ changed: [UInt32], _ followed: [UInt32]) -> [UInt32] {
    var next = followed.startIndex
    return changed.filter { page in
      while next < followed.endIndex, followed[next] < page { next += 1 }
      return page != 1 && (next == followed.endIndex || followed[next] != page)
    }
  }

  /// Marks the incrementals of the newest point's chain, and forgets that their content passed a check before.
  private func mark() throws -> [PointID] {
    let suspects = try repository.chain(of: parent).links.dropLast()
    for point in suspects where [.completed, .verified].contains(point.metadata.status) {
      var metadata = point.metadata
      metadata.status = .suspect
      do {
        try repository.write(metadata)
      } catch {
        environment.logger.error("\(point.id) could not be marked as suspect: \(error)")
      }
    }
    CheckMemo(repository: repository).remove(digests: suspects.compactMap(\.metadata.digest))
    return suspects.map(\.id)
  }
}

extension PageDigestsWriter {
  /// The pages whose hashes differ from an older table's, ascending, among those that both have.
  func pages(differingFrom older: PageDigests, pageCount: UInt32) throws -> [UInt32] {
    let last = min(pageCount, older.header.pageCount)
    guard last > 0 else { return [] }
    var changed: [UInt32] = []
    var own: [PageHash] = []
    try older.each(1...last) { page, hash in
      let place = Int((page - 1) % 4096)
      if place == 0 { own = try hashes(from: page, count: Int(min(4096, last - page + 1))) }
      if own[place] != hash { changed.append(page) }
    }
    return changed
  }
}

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
