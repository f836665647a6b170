import BackupEngine
import BackupPolicy
import TestSupport
import Testing

@Suite("Metadata", .ownThread)
struct MetadataTests {
  private func stored() throws -> (bed: TestBed, point: PointMetadata, path: String, json: [UInt8]) {
    let bed = try TestBed()
    try bed.makeDatabase()
    var request = CreateRequest()
    request.reason.description = "before the \"move\""
    request.reason.tags = ["production", "ümläut"]
    let point = try bed.engine().create(request)
    let path = "backups/.metadata/\(point.id).json"
    return (bed, point, path, try bed.folder.read(path) ?? [])
  }

  static let broken: [(String, [UInt8]?)] = [
    ("missing", nil), ("empty", []), ("truncated", Array("{\"backup_id\": \"backup_20231".utf8)),
    ("an array", Array("[]".utf8)), ("not UTF-8", [0xff, 0xfe, 0x00]),
    (
      "of another point",
      Array(
        #"{"backup_id":"backup_20000101_000000","filename":"backup_20000101_000000.db","created_at":"2000-01-01T00:00:00Z"}"#
          .utf8)
    ),
    (
      "wrong-typed",
      Array(
        #"{"backup_id":"backup_20231116_143022","filename":"backup_20231116_143022.db.gz.enc","created_at":"2023-11-16T14:30:22.000Z","original_size":"many"}"#
          .utf8)
    ),
    (
      "a path for a filename",
      Array(
        #"{"backup_id":"backup_20231116_143022","filename":"../../etc/passwd","created_at":"2023-11-16T14:30:22.000Z"}"#
          .utf8)
    ),
  ]

  @Test("Metadata that cannot be used is derived from the header", arguments: broken)
  func derived(_ what: String, _ content: [UInt8]?) throws {
    let (bed, point, path, _) = try stored()
    try SystemFileOperations().unlink(bed.folder.path(path))
    if let content { _ = try bed.folder.write(path, content) }
    let listed = try #require(try bed.engine().list().first)
    var expected = point
    expected.durationMS = nil
    #expect(listed.metadata == expected, "\(what)")
    #expect(try bed.engine().verify(point.id.text).verified)
    // Verification stored it again.
    #expect(JSONValue(parsing: try bed.folder.read(path) ?? []) != nil)
    try restore(bed.engine(), point.id, to: bed.folder.path("out.db"))
  }

  @Test("If metadata contradicts the header, the header decides and the conflict is reported")
  func contradiction() throws {
    let (bed, point, path, json) = try stored()
    let text = String(decoding: json, as: UTF8.self)
    _ = try bed.folder.write(
      path,
      Array(
        text.split(separator: "\n").map { $0.contains("\"sequence\"") ? "  \"sequence\" : 77," : $0 }.joined(
          separator: "\n"
        ).utf8))
    let listed = try #require(try bed.engine().list().first)
    #expect(listed.metadata.sequence == point.sequence)
    #expect(listed.problems.contains { $0.contains("sequence") }, "\(listed.problems)")
  }

  @Test("Keys that this program does not know survive a rewrite")
  func unknownKeys() throws {
    let (bed, point, path, json) = try stored()
    guard case .object(var keys)? = JSONValue(parsing: json) else { throw BrokenPromise("no JSON") }
    keys["ticket"] = .array([.integer(42), .null, .object(["a": .number(1.5)])])
    _ = try bed.folder.write(path, JSONValue.object(keys).encoded())
    _ = try bed.engine().verify(point.id.text)
    guard case .object(let after)? = JSONValue(parsing: try bed.folder.read(path) ?? []) else {
      throw BrokenPromise("no JSON")
    }
    #expect(after["ticket"] == keys["ticket"])
    #expect(after["verified"] == .bool(true))
  }

  @Test("Metadata of an archive that is gone is listed as failed")
  func missingArchive() throws {
    let (bed, point, _, _) = try stored()
    try SystemFileOperations().unlink("\(bed.backups)/\(point.filename)")
    let listed = try #require(try bed.engine().list().first)
    #expect(listed.archiveMissing && listed.metadata.status == .failed)
    let verification = try bed.engine().verify(point.id.text)
    #expect(verification.checks.map(\.name) == [Check.Name.file] && !verification.verified)
    #expect(throws: HoldfastError.self) { try restore(bed.engine(), point.id, to: bed.folder.path("out.db")) }
  }

  @Test(
    "Metadata names only points",
    arguments: [
      "../../etc/passwd", "", String(repeating: "9", count: 10000), "backup_2023111", "backup_20231116_143022/../x",
      "latest ",
    ])
  func hostileIDs(_ reference: String) throws {
    let (bed, _, _, _) = try stored()
    let before = try FolderDigest.of(bed.folder.path)
    if reference == "backup_2023111" {
      #expect(try bed.engine().point(reference).id.text == "backup_20231116_143022")
      return
    }
    let error = #expect(throws: HoldfastError.self) { try bed.engine().delete(reference) }
    #expect(error?.code.exitCode == 4 && error?.hint != nil)
    #expect((error?.message.utf8.count ?? 0) < 200)
    #expect(before.differences(to: try FolderDigest.of(bed.folder.path)) == [])
  }
}
