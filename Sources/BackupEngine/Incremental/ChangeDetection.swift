import BackupPolicy
import SQLitePages

/// The pages that differ from the parent's, and the digest of the database with them.
struct DetectedChanges {
  /// Ascending; never the lock page.
  var pages: [UInt32] = []
  /// By position in ``pages``.
  var hashes: [PageHash] = []
  /// The digest of the database in its present state.
  var digest: [UInt8]
}

/// Finds the pages that differ from the parent's by comparing hashes; the cost grows with the
/// candidates.
struct ChangeDetection {
  let source: SnapshotSource
  let table: PageDigests
  let secret: PageDigest.Secret
  let progress: Progress
  /// Called with each differing page if it must be copied at once.
  var copy: (UnsafeRawBufferPointer) throws -> Void = { _ in }

  private var parent: PageDigestsHeader { table.header }

  func run(_ changes: ChangedPages) throws -> DetectedChanges {
    guard
      var sum = PageDigest(finished: parent.digest, pageSize: parent.pageSize, pageCount: parent.pageCount)
    else { throw HoldfastError(.failed, "the digest of \(parent.point) is malformed") }
    var detected = DetectedChanges(digest: [])
    // Grown on demand by the runs: a change of a few pages must not cost a buffer for many.
    var room = UnsafeMutableRawBufferPointer.allocate(byteCount: source.pageSize, alignment: 4096)
    defer { room.deallocate() }
    try eachRun(changes, limit: GzipMember.chunkSize / source.pageSize) { run in
      if room.count < run.count * source.pageSize {
        room.deallocate()
        room = .allocate(byteCount: run.count * source.pageSize, alignment: 4096)
      }
      let part = UnsafeMutableRawBufferPointer(rebasing: room[..<(run.count * source.pageSize)])
      try source.read(at: Int64(run.lowerBound - 1) * Int64(source.pageSize), into: part)
      try compare(UnsafeRawBufferPointer(part), run, &detected, &sum)
      try progress.update(.comparing, Int64(run.upperBound - 1) * Int64(source.pageSize), of: source.imageSize)
    }
    if source.pageCount < parent.pageCount {
      try table.each((source.pageCount + 1)...parent.pageCount) { sum.toggle($1) }
    }
    detected.digest = sum.finished(pageSize: source.pageSize, pageCount: source.pageCount)
    return detected
  }

  private func compare(
    _ bytes: UnsafeRawBufferPointer, _ run: Range<UInt32>, _ detected: inout DetectedChanges, _ sum: inout PageDigest
  ) throws {
    var old = [PageHash?](repeating: nil, count: run.count)
    try table.each(run.lowerBound...(run.upperBound - 1)) { old[Int($0 - run.lowerBound)] = $1 }
    try PageHash.each(
      of: bytes, first: run.lowerBound, pageSize: source.pageSize, lockPage: source.lockPage, secret: secret
    ) { index, hash in
      guard hash != old[index] else { return }
      if let before = old[index] { sum.toggle(before) }
      sum.toggle(hash)
      detected.pages.append(run.lowerBound + UInt32(index))
      detected.hashes.append(hash)
      try copy(UnsafeRawBufferPointer(rebasing: bytes[(index * source.pageSize)..<((index + 1) * source.pageSize)]))
    }
  }

  /// Runs over the candidates in ascending order: page 1, the superset, and every page beyond the
  /// parent's page count.
  private func eachRun(_ changes: ChangedPages, limit: Int, _ body: (Range<UInt32>) throws -> Void) throws {
    let end = source.pageCount + 1
    guard case .superset(let given) = changes else { return try eachRun(1..<end, limit: limit, body) }
    let known = min(parent.pageCount, source.pageCount)
    let isAscending = zip(given, given.dropFirst()).allSatisfy { $0 < $1 }
    var pages = isAscending ? given : Set(given).sorted()
    pages.removeAll { $0 == 0 || $0 > known }
    if known > 0, pages.first != 1 { pages.insert(1, at: 0) }
    for run in PageRuns(pages[...], limit: limit) { try body(run) }
    try eachRun((known + 1)..<end, limit: limit, body)
  }

  private func eachRun(_ all: Range<UInt32>, limit: Int, _ body: (Range<UInt32>) throws -> Void) throws {
    var first = all.lowerBound
    while first < all.upperBound {
      let next = UInt32(min(Int64(all.upperBound), Int64(first) + Int64(limit)))
      try body(first..<next)
      first = next
    }
  }
}

/// The pages that may have changed since an incremental's parent.
package enum ChangedPages: Hashable, Sendable {
  /// Contains every changed page; unchanged ones in it do no harm. Ascending, each once.
  case superset([UInt32])
  /// The changes are unknown: every page is compared.
  case unknown
}

/// The backup on which an incremental would build.
package struct IncrementalParent: Hashable, Sendable {
  package var id: PointID
  package var sequence: UInt64
  /// Its archive.
  package var filename: String
  /// The digest of the database in it, in hexadecimal; nil if an older program stored it.
  package var digest: String?
}

/// The result of a backup that could have been a full or an incremental.
package enum StoringOutcome: Sendable {
  /// It is stored. Its metadata has the `kind`, and `reason` explains that kind.
  case stored(PointMetadata, reason: String)
  /// Nothing was stored, because the database equals this backup.
  case unchanged(since: PointID)
}

/// The result of an incremental.
package enum IncrementalOutcome: Sendable {
  /// It is stored; the position is that of its snapshot.
  case stored(PointMetadata, SnapshotPosition)
  /// Nothing was stored, because the database equals its newest backup.
  case unchanged(since: IncrementalParent, SnapshotPosition)
  /// An incremental is not possible, for this reason: a full is needed.
  case fullNeeded(reason: String)
}
