import BackupPolicy

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
