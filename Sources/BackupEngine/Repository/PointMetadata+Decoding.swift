import BackupPolicy
import Names

/// A key of a metadata file that is missing or of another type than it must be.
struct MetadataProblem: Error {
  var key: String
}

extension PointMetadata {
  /// Reads a metadata document, ours or the original service's (whose files lack our keys).
  ///
  /// - Throws: ``MetadataProblem`` with the first key that is wrong.
  init(_ json: JSONValue) throws {
    guard case .object(let object) = json else { throw MetadataProblem(key: "(the document)") }
    var keys = MetadataKeys(object)
    let id = try keys.required("backup_id", PointID.init)
    let filename = try keys.required("filename") { $0 }
    self.init(id: id, filename: filename, created: try keys.required("created_at", Timestamp.init(iso8601:)))
    guard let name = ArchiveName(filename), name.id == id else { throw MetadataProblem(key: "filename") }
    backupType = try keys.text("backup_type") ?? "manual"
    status = try keys.optional("status", Status.init(rawValue:)) ?? .completed
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
    kind = try keys.optional("kind") { ["full", "incremental", "raw"].contains($0) ? $0 : nil } ?? "full"
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

/// Takes keys out of a JSON object, each with its type checked; null and absence are the same.
private struct MetadataKeys {
  /// What nobody took: the keys that this program does not know.
  private(set) var rest: JSONObject

  init(_ object: JSONObject) {
    rest = object
  }

  private mutating func take(_ key: String) -> JSONValue? {
    guard let value = rest.removeValue(forKey: key), value != .null else { return nil }
    return value
  }

  mutating func text(_ key: String) throws -> String? {
    try optional(key) { $0 }
  }

  mutating func optional<Value>(_ key: String, _ parse: (String) -> Value?) throws -> Value? {
    guard let value = take(key) else { return nil }
    guard case .string(let text) = value, let result = parse(text) else { throw MetadataProblem(key: key) }
    return result
  }

  mutating func required<Value>(_ key: String, _ parse: (String) -> Value?) throws -> Value {
    guard let value = try optional(key, parse) else { throw MetadataProblem(key: key) }
    return value
  }

  mutating func integer(_ key: String, _ range: ClosedRange<Int64>) throws -> Int64? {
    guard let value = take(key) else { return nil }
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
    guard let value = take(key) else { return nil }
    guard case .bool(let flag) = value else { throw MetadataProblem(key: key) }
    return flag
  }

  mutating func texts(_ key: String) throws -> [String] {
    guard let value = take(key) else { return [] }
    guard case .array(let items) = value else { throw MetadataProblem(key: key) }
    return try items.map {
      guard case .string(let text) = $0 else { throw MetadataProblem(key: key) }
      return text
    }
  }

  mutating func counts(_ key: String) throws -> [Identifier: Int64?]? {
    guard let value = take(key) else { return nil }
    guard let counts = [Identifier: Int64?](value) else { throw MetadataProblem(key: key) }
    return counts
  }
}
