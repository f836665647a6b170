import BackupPolicy
import Names

/// The record of a backup in `.metadata/ID.json`. The original service defined the keys up to
/// `verification_errors`.
///
/// ```swift
/// for backup in try await service.list(limit: 10) {
///   print(backup.id, backup.created.iso8601, backup.kind, backup.status, backup.compressedSize)
/// }
/// ```
public struct PointMetadata: Hashable, Sendable {
  /// The backup's ID.
  public package(set) var id: PointID
  /// The archive's name in the repository's folder, without the folder.
  public package(set) var filename: String
  /// When the state was read, by this host's clock at that time.
  public package(set) var created: Timestamp
  /// The reason for which the backup was made.
  public package(set) var backupType = BackupType.manual
  /// The known condition of the backup.
  public package(set) var status = BackupStatus.completed
  /// Bytes of the database at that time; nil if unknown.
  public package(set) var originalSize: Int64?
  /// Bytes of the archive file.
  public package(set) var compressedSize: Int64 = 0
  /// Whether the archive is encrypted.
  public package(set) var encrypted = false
  /// Whether the archive is compressed.
  public package(set) var compressed = false
  /// SHA-256 of the archive file in lower-case hexadecimal; nil if it was lost.
  public package(set) var checksum: String?
  /// The migration tool's own version if a tool is recognised (Alembic, Django, Rails, Flyway, …),
  /// else `user_version`.
  public package(set) var schemaVersion: String?
  /// Rows of each table; nil if counting ran out of time.
  public package(set) var tableCounts: [Identifier: Int64?]?
  /// Rows of all tables together; nil if one count is unknown.
  public package(set) var totalRecords: Int64?
  /// The description that the caller gave when the backup was made.
  public package(set) var description: String?
  /// Words by which to find the backup.
  public package(set) var tags: [String] = []
  /// Whether the last verification found no problem; false before the first.
  public package(set) var verified = false
  /// When it was last verified.
  public package(set) var verificationDate: Timestamp?
  /// The problems that the last verification found; lower case, no full stop.
  public package(set) var verificationErrors: [String] = []
  /// The messages of SQLite's checks about the database that was backed up. Empty if they found
  /// nothing, or if nothing was checked. The backup holds the database as it was then, so it
  /// restores like any other.
  public package(set) var findings: [String] = []
  /// When SQLite's checks last ran on it; nil if they never did.
  public package(set) var findingsDate: Timestamp?
  /// The version of SQLite that ran the checks: another version may find more, or less.
  public package(set) var findingsSQLiteVersion: String?
  /// Whether it is a full, an incremental or a raw copy.
  public package(set) var kind = BackupKind.full
  /// The backup on which it builds; nil for a full.
  public package(set) var parentID: PointID?
  /// The full at the start of its chain; its own ID for a full.
  public package(set) var chainID: PointID?
  /// Order in the repository, from 1; nil in directories of the original service.
  public package(set) var sequence: UInt64?
  /// The repository's own ID, in hexadecimal.
  public package(set) var repositoryID: String?
  /// Bytes of a database page.
  public package(set) var pageSize: Int?
  /// Pages of the database.
  public package(set) var pageCount: UInt32?
  /// Pages in the archive: all of them in a full.
  public package(set) var pagesStored: UInt32?
  /// The digest of the database's pages in hexadecimal: equal digests mean equal content.
  public package(set) var digest: String?
  /// How the archive is encrypted; nil if it is not.
  public package(set) var cipher: ArchiveCipher?
  /// The database's path, symbolic links resolved.
  public package(set) var databasePath: String?
  /// The owner and the permissions of the database file.
  public package(set) var databaseAttributes: FileAttributes?
  /// Other paths of the same database: the given one, if links led from it to ``databasePath``, and
  /// those from before a move.
  public package(set) var otherPaths: [String] = []
  /// The machine's name.
  public package(set) var host: String?
  /// ``duration`` in milliseconds, as the file has it.
  package var durationMS: Int64?
  /// Pages of the database on its freelist: the others are in use.
  public package(set) var freePages: UInt32?
  /// Tables in its schema, SQLite's own included.
  public package(set) var tables: UInt32?
  /// Anomalies of the database when the backup was made, as text that follows its ID. For example,
  /// the database lost most of its content.
  public package(set) var anomalies: [String] = []
  /// When the anomalies were accepted; nil if they were not.
  public package(set) var acceptedAt: Timestamp?
  /// Whether it stays until it is unpinned.
  public package(set) var pinned = false
  /// See ``PointContent/tableMarks``; only in the archive's header.
  package var tableMarks: Set<UInt32> = []
  /// The version of Holdfast that wrote it; nil in directories of the original service.
  public package(set) var holdfastVersion: String?
  /// Keys that this program does not know; they survive a rewrite.
  package var unknown: JSONObject = [:]

  package init(id: PointID, filename: String, created: Timestamp) {
    self.id = id
    self.filename = filename
    self.created = created
  }

  /// Orders a repository's backups: by sequence first, because clocks may be wrong; then, for
  /// backups without one, by time and by ID.
  package static func precedes(_ left: PointMetadata, _ right: PointMetadata) -> Bool {
    let (before, after) = (left.sequence ?? 0, right.sequence ?? 0)
    if before != after { return before < after }
    return left.created == right.created ? left.id.text < right.id.text : left.created < right.created
  }
}

extension PointMetadata {
  package var json: JSONValue {
    var keys = unknown
    keys["backup_id"] = .string(id.text)
    keys["filename"] = .string(filename)
    keys["created_at"] = .string(created.iso8601)
    keys["backup_type"] = .string(backupType.rawValue)
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
    keys["findings"] = .array(findings.map { .string($0) })
    keys["findings_date"] = .optional(findingsDate?.iso8601)
    keys["findings_sqlite_version"] = .optional(findingsSQLiteVersion)
    keys["kind"] = .string(kind.rawValue)
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
    keys["database_mode"] = .optional(databaseAttributes?.octal)
    keys["database_owner"] = .optional(databaseAttributes?.owner)
    keys["database_group"] = .optional(databaseAttributes?.group)
    if !otherPaths.isEmpty { keys["other_paths"] = .array(otherPaths.map { .string($0) }) }
    keys["host"] = .optional(host)
    keys["free_pages"] = .optional(freePages)
    keys["tables"] = .optional(tables)
    keys["anomalies"] = .array(anomalies.map { .string($0) })
    keys["accepted_at"] = .optional(acceptedAt?.iso8601)
    keys["pinned"] = .bool(pinned)
    keys["duration_ms"] = .optional(durationMS)
    keys["holdfast_version"] = .optional(holdfastVersion)
    return .object(keys)
  }
}

/// A key of a metadata file that is missing or has the wrong type.
struct MetadataProblem: Error {
  var key: String
}

extension PointMetadata {
  /// Reads a metadata document of Holdfast or of the original service, whose files lack our keys.
  ///
  /// - Throws: ``MetadataProblem`` with the first wrong key.
  init(_ json: JSONValue) throws {
    guard case .object(let object) = json else { throw MetadataProblem(key: "(the document)") }
    var keys = MetadataKeys(object)
    let id = try keys.required("backup_id", PointID.init)
    let filename = try keys.required("filename") { $0 }
    self.init(id: id, filename: filename, created: try keys.required("created_at", Timestamp.init(iso8601:)))
    guard let name = ArchiveName(filename), name.id == id else { throw MetadataProblem(key: "filename") }
    backupType = try keys.text("backup_type").map { BackupType(rawValue: $0) } ?? .manual
    status = try keys.optional("status", BackupStatus.init(rawValue:)) ?? .completed
    originalSize = try keys.integer("original_size", 0...Int64.max)
    compressedSize = try keys.integer("compressed_size", 0...Int64.max) ?? 0
    encrypted = try keys.bool("encrypted") ?? name.encrypted
    compressed = try keys.bool("compressed") ?? name.compressed
    checksum = try keys.optional("checksum") { [UInt8](hex: $0)?.count == 32 ? $0.lowercased() : nil }
    _ = try keys.optional("checksum_algorithm") { $0 == "sha256" ? $0 : nil }
    schemaVersion = try keys.text("schema_version")
    tableCounts = try keys.counts("table_counts")
    totalRecords = try keys.integer("total_records", 0...Int64.max)
    description = try keys.text("description")
    tags = try keys.texts("tags")
    verified = try keys.bool("verified") ?? false
    verificationDate = try keys.optional("verification_date", Timestamp.init(iso8601:))
    verificationErrors = try keys.texts("verification_errors")
    try readOwnKeys(&keys)
    unknown = keys.rest
    separateOldFindings()
  }

  private mutating func readOwnKeys(_ keys: inout MetadataKeys) throws {
    findings = try keys.texts("findings")
    findingsDate = try keys.optional("findings_date", Timestamp.init(iso8601:))
    findingsSQLiteVersion = try keys.text("findings_sqlite_version")
    kind = try keys.optional("kind", BackupKind.init(rawValue:)) ?? .full
    parentID = try keys.optional("parent_id", PointID.init)
    chainID = try keys.optional("chain_id", PointID.init)
    sequence = try keys.integer("sequence", 0...Int64(ArchiveHeader.maximumSequence)).map { UInt64($0) }
    repositoryID = try keys.optional("repository_id") { [UInt8](hex: $0)?.count == 16 ? $0 : nil }
    pageSize = try keys.integer("page_size", 0...65536).map { Int($0) }
    pageCount = try keys.integer("page_count", 0...Int64(UInt32.max)).map { UInt32($0) }
    pagesStored = try keys.integer("pages_stored", 0...Int64(UInt32.max)).map { UInt32($0) }
    digest = try keys.optional("digest") { [UInt8](hex: $0)?.count == 16 ? $0 : nil }
    cipher = try keys.optional("cipher", ArchiveCipher.init(rawValue:))
    databasePath = try keys.text("database_path")
    databaseAttributes = try keys.attributes()
    otherPaths = try keys.texts("other_paths")
    host = try keys.text("host")
    freePages = try keys.integer("free_pages", 0...Int64(UInt32.max)).map { UInt32($0) }
    tables = try keys.integer("tables", 0...Int64(UInt32.max)).map { UInt32($0) }
    anomalies = try keys.texts("anomalies")
    acceptedAt = try keys.optional("accepted_at", Timestamp.init(iso8601:))
    pinned = try keys.bool("pinned") ?? isPinnedByType
    durationMS = try keys.integer("duration_ms", 0...Int64.max)
    holdfastVersion = try keys.text("holdfast_version")
  }
}

/// Takes keys out of a JSON object and checks the type of each; null and absence are the same.
private struct MetadataKeys {
  /// The keys that are still there: those that this program does not know.
  private(set) var rest: JSONObject

  init(_ object: JSONObject) {
    rest = object
  }

  private mutating func removeValue(_ key: String) -> JSONValue? {
    guard let value = rest.removeValue(forKey: key), value != .null else { return nil }
    return value
  }

  mutating func text(_ key: String) throws -> String? {
    try optional(key) { $0 }
  }

  mutating func optional<Value>(_ key: String, _ parse: (String) -> Value?) throws -> Value? {
    guard let value = removeValue(key) else { return nil }
    guard case .string(let text) = value, let result = parse(text) else { throw MetadataProblem(key: key) }
    return result
  }

  mutating func required<Value>(_ key: String, _ parse: (String) -> Value?) throws -> Value {
    guard let value = try optional(key, parse) else { throw MetadataProblem(key: key) }
    return value
  }

  mutating func integer(_ key: String, _ range: ClosedRange<Int64>) throws -> Int64? {
    guard let value = removeValue(key) else { return nil }
    guard case .integer(let number) = value, range.contains(number) else { throw MetadataProblem(key: key) }
    return number
  }

  mutating func attributes() throws -> FileAttributes? {
    let permissions = try optional("database_mode", FileAttributes.permissions(octal:))
    let owner = try integer("database_owner", 0...Int64(UInt32.max))
    let group = try integer("database_group", 0...Int64(UInt32.max))
    guard let permissions, let owner, let group else { return nil }
    return FileAttributes(permissions: permissions, owner: UInt32(owner), group: UInt32(group))
  }

  mutating func bool(_ key: String) throws -> Bool? {
    guard let value = removeValue(key) else { return nil }
    guard case .bool(let flag) = value else { throw MetadataProblem(key: key) }
    return flag
  }

  mutating func texts(_ key: String) throws -> [String] {
    guard let value = removeValue(key) else { return [] }
    guard case .array(let items) = value else { throw MetadataProblem(key: key) }
    return try items.map {
      guard case .string(let text) = $0 else { throw MetadataProblem(key: key) }
      return text
    }
  }

  mutating func counts(_ key: String) throws -> [Identifier: Int64?]? {
    guard let value = removeValue(key) else { return nil }
    guard let counts = [Identifier: Int64?](value) else { throw MetadataProblem(key: key) }
    return counts
  }
}

extension PointMetadata {
  /// How long the backup took, in whole milliseconds; nil if it is not recorded.
  public var duration: Duration? { durationMS.map { .milliseconds($0) } }
}

/// Flaws of the database that was backed up, which are no flaws of the backup.
extension PointMetadata {
  /// Whether SQLite's checks found flaws in the database that was backed up.
  public var isFlawed: Bool { !findings.isEmpty }

  private static let mostFindings = 10
  private static let longestFinding = 500

  /// ``findings`` in one line, as SQLite words them; nil if there are none.
  package var findingsInWords: String? {
    guard isFlawed else { return nil }
    return findings.joined(separator: "; ") + (findingsSQLiteVersion.map { " (SQLite \($0))" } ?? "")
  }

  /// Records the findings of SQLite's checks. An empty list clears those of an earlier check.
  mutating func record(_ findings: [String], sqliteVersion: String, at time: Timestamp) {
    self.findings = findings.prefix(Self.mostFindings).map { String($0.prefix(Self.longestFinding)) }
    (findingsDate, findingsSQLiteVersion) = (time, sqliteVersion)
  }

  /// Converts a verdict of older versions. They called a backup failed if SQLite's check of its
  /// database found something, even after everything about the archive had been proven.
  mutating func separateOldFindings() {
    let name = Check.Name.integrity
    guard status == .failed, kind != .raw, !verificationErrors.isEmpty,
      verificationErrors.allSatisfy({ $0.hasPrefix(name) })
    else { return }
    findings = verificationErrors.map { String($0.dropFirst(name.count).drop { $0 == ":" || $0 == " " }) }
    findingsDate = verificationDate
    verificationErrors = []
    status = .completed
    resolveAnomaly()
  }
}
