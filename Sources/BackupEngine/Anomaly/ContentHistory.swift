import BackupPolicy
import CXXHash
import Names

/// The backups of the database's own history, with which a new backup's content is compared.
struct ContentHistory {
  private var newest: PointMetadata?
  private var own: PointContent?
  private var full: PointContent?

  /// - Parameter points: every backup of the database, oldest first.
  init(_ points: [StoredPoint]) {
    let history = points.filter { $0.isAuthenticated && $0.metadata.mayBeParent }.map(\.metadata)
    newest = history.last
    guard let own = newest else { return }
    self.own = own.content
    if own.kind != .full { full = history.first { $0.id == own.chainID }?.content }
  }

  /// Adds a backup that was just stored after the newest one.
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

  /// The number of the newest backup.
  var sequence: UInt64 { newest?.sequence ?? 0 }
}

extension Repository {
  /// The anomalies of a backup that is about to be stored. Needs the lock, and reads a file only if
  /// there are any.
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
  /// The anomalies of the backup's content that no person has accepted. The backup holds the
  /// backups before it.
  package var openAnomalies: [String] {
    guard acceptedAt == nil else { return [] }
    return allAnomalies
  }

  /// ``openAnomalies`` and those that were accepted.
  package var allAnomalies: [String] {
    // Older versions marked backups of another database only by the status. Findings of SQLite's
    // checks are not anomalies: they depend on the version of SQLite, and retention keeps the
    // newest backup without findings anyway.
    anomalies.isEmpty && status == .anomalous ? ["is of another database"] : anomalies
  }

  /// ``openAnomalies`` in one line; nil if there are no anomalies.
  var anomalyInWords: String? { openAnomalies.isEmpty ? nil : openAnomalies.joined(separator: ", and ") }

  /// Makes the status of a sound backup agree with its anomalies.
  mutating func resolveAnomaly() {
    let isOpen = !anomalies.isEmpty && acceptedAt == nil
    if isOpen, status == .completed || status == .verified { status = .anomalous }
  }

  /// Ends the hold of its anomalies.
  mutating func accept(at time: Timestamp) {
    acceptedAt = time
    if status == .anomalous { status = verified ? .verified : .completed }
  }
}

extension PointMetadata {
  /// The content facts in which an anomaly would show.
  var content: PointContent {
    var content = PointContent(tables: tables.map { Int64($0) }, tableMarks: tableMarks)
    if let pageCount, let pageSize, let freePages {
      content.usedBytes = (Int64(pageCount) - Int64(min(freePages, pageCount))) * Int64(pageSize)
    }
    if tableMarks.isEmpty, let names = tableCounts?.keys { content.tableMarks = TableMarks.of(names) }
    return content
  }

  /// Records the facts about the database's content.
  mutating func describe(_ content: DatabaseContent) {
    freePages = content.freePages
    tables = content.tables.map { UInt32(clamping: $0.count) }
    tableMarks = content.tables.map { TableMarks.of($0) } ?? []
  }

  /// The header's field; nil if the content is not known.
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

/// Numbers that represent the tables of a database, few enough for every archive's header.
enum TableMarks {
  static let limit = 16

  /// The lowest of the low 32 bits of XXH3-64 of each name's UTF-8, at most ``limit`` (a bottom-k
  /// sketch). If two databases have the same tables, the marks are equal; if they share most
  /// tables, most marks are equal.
  static func of(_ names: some Sequence<Identifier>) -> Set<UInt32> {
    // Every database has SQLite's own tables.
    let marks = names.lazy.filter { !$0.isInternal }.map { name in
      name.bytes.withUnsafeBytes { UInt32(truncatingIfNeeded: XXH3_64bits($0.baseAddress, $0.count)) }
    }
    return Set(Set(marks).sorted().prefix(limit))
  }
}
