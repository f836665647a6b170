import BackupPolicy

/// What is recorded of a point, in `.metadata/ID.json`. The keys up to `verification_errors` are the original service's.
package struct PointMetadata: Hashable, Sendable {
  package var id: PointID
  package var filename: String
  package var created: Timestamp
  /// Why it was taken: `manual`, `scheduled`, `change`, `safety` or `guard`.
  package var backupType = "manual"
  package var status = Status.completed
  /// Bytes of the database at that point; nil where not known.
  package var originalSize: Int64?
  /// Bytes of the archive file.
  package var compressedSize: Int64 = 0
  package var encrypted = false
  package var compressed = false
  /// SHA-256 of the archive file in lower-case hexadecimal; nil where it was lost.
  package var checksum: String?
  package var schemaVersion: String?
  /// Rows of each table; nil where counting ran out of time.
  package var tableCounts: [String: Int64?]?
  package var totalRecords: Int64?
  package var description: String?
  package var tags: [String] = []
  package var verified = false
  package var verificationDate: Timestamp?
  package var verificationErrors: [String] = []
  /// `full`, `incremental`, or `raw` for the files of a damaged database as they were found.
  package var kind = "full"
  package var parentID: PointID?
  package var chainID: PointID?
  /// Order in the repository, from 1; nil in directories of the original service.
  package var sequence: UInt64?
  package var repositoryID: String?
  package var pageSize: Int?
  package var pageCount: UInt32?
  package var pagesStored: UInt32?
  /// ``PageDigest`` in hexadecimal.
  package var digest: String?
  package var cipher: ArchiveCipher?
  package var databasePath: String?
  package var host: String?
  package var durationMS: Int64?
  package var holdfastVersion: String?
  /// Keys that this program does not know; they survive a rewrite.
  package var unknown: [String: JSONValue] = [:]

  /// The states of a point.
  package enum Status: String, Sendable, CaseIterable {
    case completed
    case verified
    case failed
    case anomalous
    case suspect
    case unauthenticated
  }

  package init(id: PointID, filename: String, created: Timestamp) {
    self.id = id
    self.filename = filename
    self.created = created
  }

  /// Repository order: sequence first, since clocks may be wrong; then time, then the ID, for points without one.
  package static func precedes(_ left: PointMetadata, _ right: PointMetadata) -> Bool {
    (left.sequence ?? 0, left.created.milliseconds, left.id.text)
      < (right.sequence ?? 0, right.created.milliseconds, right.id.text)
  }
}

extension PointMetadata {
  package var json: JSONValue {
    var keys = unknown
    keys["backup_id"] = .string(id.text)
    keys["filename"] = .string(filename)
    keys["created_at"] = .string(created.iso8601)
    keys["backup_type"] = .string(backupType)
    keys["status"] = .string(status.rawValue)
    keys["original_size"] = .optional(originalSize)
    keys["compressed_size"] = .integer(compressedSize)
    keys["encrypted"] = .bool(encrypted)
    keys["compressed"] = .bool(compressed)
    keys["checksum"] = .optional(checksum)
    keys["checksum_algorithm"] = .string("sha256")
    keys["schema_version"] = .optional(schemaVersion)
    keys["table_counts"] = tableCounts?.json ?? .null
    keys["total_records"] = .optional(totalRecords)
    keys["description"] = .optional(description)
    keys["tags"] = .array(tags.map { .string($0) })
    keys["verified"] = .bool(verified)
    keys["verification_date"] = .optional(verificationDate?.iso8601)
    keys["verification_errors"] = .array(verificationErrors.map { .string($0) })
    keys["kind"] = .string(kind)
    keys["parent_id"] = .optional(parentID?.text)
    keys["chain_id"] = .optional(chainID?.text)
    keys["sequence"] = .optional(sequence)
    keys["repository_id"] = .optional(repositoryID)
    keys["page_size"] = .optional(pageSize)
    keys["page_count"] = .optional(pageCount)
    keys["pages_stored"] = .optional(pagesStored)
    keys["digest"] = .optional(digest)
    keys["cipher"] = .optional(cipher?.rawValue)
    keys["database_path"] = .optional(databasePath)
    keys["host"] = .optional(host)
    keys["duration_ms"] = .optional(durationMS)
    keys["holdfast_version"] = .optional(holdfastVersion)
    return .object(keys)
  }
}
