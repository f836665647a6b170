import BackupPolicy
import SQLitePages

/// Checks a change tracker against a full backup's page hashes. A full hashes every page, so
/// comparing those hashes with the newest backup's costs 32 bytes of reading for each page, and no
/// reading of the database.
///
/// A running digest agrees with itself even if a page was missed; this audit detects the missed
/// page.
struct FullAudit {
  let repository: Repository
  let environment: EngineEnvironment
  let parent: StoredPoint
  /// The pages that the tracker reported as changed, ascending.
  let followed: [UInt32]

  /// Compares, and marks the backups that are no longer reliable. Needs the exclusive lock and the
  /// complete new table.
  ///
  /// This runs before the full is committed. If the process stops in between, the backups are
  /// marked and the next backup replaces the old table; the reverse order could lose the table
  /// without marking them.
  func judge(_ table: PageDigestsWriter, pageSize: Int, pageCount: UInt32, digestKey: [UInt8]) -> AuditOutcome {
    do {
      guard let known = try knownPages(pageSize, digestKey) else {
        return .notAudited("the page hashes of \(parent.id) are missing or not comparable")
      }
      let changed = try table.pages(differingFrom: known, pageCount: pageCount)
      let missed = Self.unexpected(changed, followed)
      if missed.isEmpty { return .passed(since: parent.id) }
      return .missed(TrackerMiss(pages: missed, since: parent.id, suspects: try mark()))
    } catch {
      // The full itself is as good as one without an audit.
      return .notAudited("\(error)")
    }
  }

  /// The table of the newest backup's hashes, if they can be compared with the new ones.
  private func knownPages(_ pageSize: Int, _ digestKey: [UInt8]) throws -> PageDigests? {
    let file = try repository.files.open(repository.path(parent.name.text), .readNoFollow)
    defer { repository.files.close(file) }
    let image = try LinkImage(parent, file, credentials: repository.credentials, repository.files)
    guard let digest = image.digest, image.pageSize == pageSize, image.digestKey == digestKey else { return nil }
    return try PageDigests.open(
      PageDigestsHeader(point: parent.id, digest: digest, pageSize: image.pageSize, pageCount: image.pageCount),
      in: repository)
  }

  /// Pages that changed without being tracked. Page 1 is always compared, regardless of the
  /// tracker. Both lists ascend.
  private static func unexpected(_ changed: [UInt32], _ followed: [UInt32]) -> [UInt32] {
    var next = followed.startIndex
    return changed.filter { page in
      while next < followed.endIndex, followed[next] < page { next += 1 }
      return page != 1 && (next == followed.endIndex || followed[next] != page)
    }
  }

  /// Marks the incrementals of the newest backup's chain as suspect, and removes the memo that
  /// their content passed a check.
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

/// What a full found out about whoever followed the database since the newest point.
package enum AuditOutcome: Hashable, Sendable {
  /// Every page that differs from that backup was reported as changed.
  case passed(since: PointID)
  case missed(TrackerMiss)
  /// No comparison was possible, with the reason.
  case notAudited(String)
}

/// Pages that changed without being tracked: incrementals may lack them.
package struct TrackerMiss: Hashable, Sendable {
  /// Ascending.
  package var pages: [UInt32]
  /// The newest backup before the full.
  package var since: PointID
  /// The incrementals that may lack pages, newest first; empty if that backup is a full.
  package var suspects: [PointID]

  package var error: HoldfastError {
    let shown = pages.prefix(5).map { "\($0)" }.joined(separator: ", ") + (pages.count > 5 ? ", …" : "")
    let points =
      switch suspects.count {
      case 0: "no incremental is affected"
      case 1: "\(suspects[0]) may lack them"
      default: "\(suspects.count) backups from \(suspects[suspects.count - 1]) to \(suspects[0]) may lack them"
      }
    return HoldfastError(
      .verificationFailed,
      "tracker miss: \(pages.count) page\(pages.count == 1 ? "" : "s") (\(shown)) differ from \(since) but were not detected as "
        + "changed; \(points)",
      hint:
        "the new full backup is sound; restore from full backups rather than from suspect ones, and please report this")
  }
}
