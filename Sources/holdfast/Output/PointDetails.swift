import BackupEngine
import BackupPolicy

/// Everything that is known of one point, as `show` prints it.
struct PointDetails {
  let point: StoredPoint
  private var metadata: PointMetadata { point.metadata }

  init(_ point: StoredPoint) {
    self.point = point
  }

  var lines: [String] {
    var fields = FieldList()
    addContent(&fields)
    addProof(&fields)
    addOrigin(&fields)
    for problem in point.problems { fields.add("Problem", problem) }
    return ["\(point.id)"] + fields.lines(width: 16)
  }

  private func addContent(_ fields: inout FieldList) {
    fields.add("File", metadata.filename)
    fields.add("Created", metadata.created.local)
    fields.add("Type", "\(metadata.backupType), \(metadata.kind)")
    fields.add("Size", metadata.sizeInWords)
    fields.add("Pages", metadata.pageCount.map { "\($0.grouped) of \((metadata.pageSize ?? 0).grouped) bytes" })
    fields.add("Encryption", metadata.encrypted ? metadata.cipher?.rawValue ?? "unknown" : "none")
    fields.add("Compression", metadata.compressed ? "gzip" : "none")
    fields.add("Records", metadata.totalRecords?.grouped)
    fields.add("Tables", tables)
    fields.add("Schema version", metadata.schemaVersion)
    fields.add("Description", metadata.description)
    fields.add("Tags", metadata.tags.joined(separator: ", "))
  }

  private var tables: String? {
    metadata.tableCounts?.sorted { $0.key < $1.key }.map { "\($0) \($1?.grouped ?? "?")" }.joined(separator: ", ")
  }

  private func addProof(_ fields: inout FieldList) {
    fields.add("Status", metadata.statusInWords)
    fields.add("Verified", metadata.verificationDate?.local)
    for error in metadata.verificationErrors { fields.add("Failed", error) }
    for anomaly in metadata.allAnomalies { fields.add("Anomaly", "it \(anomaly)") }
    fields.add("Accepted", metadata.acceptedAt?.local)
    fields.add("Checksum", metadata.checksum.map { "sha256 \($0)" })
    fields.add("Digest", metadata.digest)
  }

  private func addOrigin(_ fields: inout FieldList) {
    fields.add("Sequence", metadata.sequence?.grouped)
    fields.add("Chain", metadata.chainID.flatMap { $0 == metadata.id ? nil : $0.text })
    fields.add("Parent", metadata.parentID?.text)
    fields.add("Repository", metadata.repositoryID)
    fields.add("Database", metadata.databasePath)
    fields.add("Host", metadata.host)
    fields.add("Took", metadata.durationMS.map { "\($0.grouped) ms" })
    fields.add("Made by", metadata.holdfastVersion.map { "holdfast \($0)" })
  }
}
