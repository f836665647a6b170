import BackupPolicy
import CXXHash
import Names

/// What a new point's content is compared with: the points of the database's own history.
struct ContentHistory {
  private var newest: PointMetadata?
  private var own: PointContent?
  private var full: PointContent?

  /// - Parameter points: every point of the database, the oldest first.
  init(_ points: [StoredPoint]) {
    let history = points.filter { $0.isAuthenticated && $0.metadata.mayBeParent }.map(\.metadata)
    newest = history.last
    guard let own = newest else { return }
    self.own = own.content
    if own.kind != .full { full = history.first { $0.id == own.chainID }?.content }
  }

  /// Goes on with a point that was just stored on the newest one.
  mutating func add(_ metadata: PointMetadata) {
    if own != nil, full == nil { full = own }
    newest = metadata
    own = metadata.content
  }

  func facts(for metadata: PointMetadata) -> AnomalyFacts {
    var facts = AnomalyFacts(metadata.content)
    (facts.own, facts.full) = (own, full)
    return facts
  }

  /// The number of the newest point.
  var sequence: UInt64 { newest?.sequence ?? 0 }
}

extension Repository {
  /// What is odd about a point that is about to be stored. Needs the lock, and reads a file only where something is.
  func anomalies(of metadata: PointMetadata, after history: ContentHistory, now: Timestamp) throws -> [String] {
    guard metadata.mayBeParent else { return [] }
    var facts = history.facts(for: metadata)
    if AnomalyPolicy.decide(facts).isEmpty { return [] }
    facts.restored = try metadata.databasePath.flatMap { path in
      try RestoreJournal(repository: self).restored(into: path, after: history.sequence, now: now)?.content
    }
    return AnomalyPolicy.decide(facts).map(\.words)
  }
}

extension PointMetadata {
  /// What is odd about the point's content and nobody accepted; it holds what was before it.
  package var openAnomalies: [String] {
    guard acceptedAt == nil else { return [] }
    return allAnomalies
  }

  /// ``openAnomalies`` and those that were accepted.
  package var allAnomalies: [String] {
    // Older versions marked other databases by the status alone.
    // What SQLite's checks find is none of them: it depends on the version of SQLite, and retention keeps the newest backup
    // without findings anyway.
    anomalies.isEmpty && status == .anomalous ? ["is of another database"] : anomalies
  }

  /// ``openAnomalies`` in one line; nil without any.
  var anomalyInWords: String? { openAnomalies.isEmpty ? nil : openAnomalies.joined(separator: ", and ") }

  /// Makes the status of a sound point agree with its anomalies.
  mutating func settleAnomaly() {
    let isOpen = !anomalies.isEmpty && acceptedAt == nil
    if isOpen, status == .completed || status == .verified { status = .anomalous }
  }

  /// Ends what its anomalies hold.
  mutating func accept(at time: Timestamp) {
    acceptedAt = time
    if status == .anomalous { status = verified ? .verified : .completed }
  }
}

extension PointMetadata {
  /// As an anomaly would show in it.
  var content: PointContent {
    var content = PointContent(tables: tables.map { Int64($0) }, tableMarks: tableMarks)
    if let pageCount, let pageSize, let freePages {
      content.usedBytes = (Int64(pageCount) - Int64(min(freePages, pageCount))) * Int64(pageSize)
    }
    if tableMarks.isEmpty, let names = tableCounts?.keys { content.tableMarks = TableMarks.of(names) }
    return content
  }

  /// Records what the database is like.
  mutating func describe(_ content: DatabaseContent) {
    freePages = content.freePages
    tables = content.tables.map { UInt32(clamping: $0.count) }
    tableMarks = content.tables.map { TableMarks.of($0) } ?? []
  }

  /// The header's field; nil where it is not known.
  var contentField: [UInt8]? {
    guard let freePages, let tables else { return nil }
    var writer = ByteWriter()
    writer.integer(freePages)
    writer.integer(tables)
    for mark in tableMarks.sorted() { writer.integer(mark) }
    return writer.bytes
  }

  mutating func readContent(_ field: [UInt8]) {
    var reader = ByteReader(field)
    guard let free = reader.integer(UInt32.self), let count = reader.integer(UInt32.self) else { return }
    (freePages, tables, tableMarks) = (free, count, [])
    while tableMarks.count < TableMarks.limit, let mark = reader.integer(UInt32.self) { tableMarks.insert(mark) }
  }
}

/// Numbers that stand for the tables of a database, few enough for every archive's header.
enum TableMarks {
  static let limit = 16

  /// The lowest of the low 32 bits of XXH3-64 of each name's UTF-8, at most ``limit``: of two databases with the same tables the
  /// same, of two that share most tables mostly the same (a bottom-k sketch).
  static func of(_ names: some Sequence<Identifier>) -> Set<UInt32> {
    // SQLite's own tables are in any database.
    let marks = names.lazy.filter { !$0.isInternal }.map { name in
      name.bytes.withUnsafeBytes { UInt32(truncatingIfNeeded: XXH3_64bits($0.baseAddress, $0.count)) }
    }
    return Set(Set(marks).sorted().prefix(limit))
  }
}
