import SQLitePages
import Testing
import TestSupport

@Suite("Snapshots equal SQLite's own copy", .ownThread)
struct SnapshotMatrixTests {
  static let pageSizes = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536]
  static let journalModes = ["wal", "delete", "truncate", "persist", "memory", "off"]
  static let encodings = ["UTF-8", "UTF-16le", "UTF-16be"]

  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("Snapshots equal the copy in every page size, journal mode and encoding", arguments: pageSizes, journalModes)
  func matrix(pageSize: Int, journalMode: String) throws {
    for encoding in Self.encodings {
      let path = folder.path("\(encoding).db")
      let fixture = DatabaseFixture(pageSize: pageSize, encoding: encoding, journalMode: journalMode)
      let application = try fixture.create(at: path)
      // In WAL mode: some pages in the file alone, some in both, some in the log alone.
      try application.run("PRAGMA wal_checkpoint; UPDATE item SET body = randomblob(500) WHERE id % 4 = 0")
      try application.run("INSERT INTO item SELECT n + 1000, 'b', randomblob(900) FROM (\(DatabaseFixture.numbers(9)))")
      try compare(path, application, fixture)
      try application.run("DELETE FROM item WHERE id < 40; PRAGMA user_version = -7; VACUUM")
      try compare(path, application, fixture)
      application.close()
      try compare(path, try DatabaseApplication(path), fixture)
    }
  }

  @Test("Snapshots equal the copy with reserved bytes at the end of each page", arguments: ["wal", "delete"])
  func reservedBytes(journalMode: String) throws {
    let path = folder.path("app.db")
    let fixture = DatabaseFixture(journalMode: journalMode, reservedBytes: 48)
    let application = try fixture.create(at: path)
    try compare(path, application, fixture)
  }

  private func compare(_ path: String, _ application: DatabaseApplication, _ fixture: DatabaseFixture) throws {
    let connection = try DatabaseConnection(path: path, access: .observer)
    let snapshot = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch"))
    let image = try snapshot.image()
    let geometry = snapshot.geometry
    #expect(snapshot.blocksWriters == (fixture.journalMode != "wal"))
    snapshot.end()
    #expect(geometry.pageSize == fixture.pageSize)
    #expect(geometry.textEncoding == fixture.encoding)
    #expect(geometry.reservedBytes == Int(fixture.reservedBytes))
    #expect((geometry.journalMode == "wal") == (fixture.journalMode == "wal"))
    #expect(Int(geometry.imageSize) == image.count)
    #expect(String(geometry.freePages) == (try application.value("PRAGMA freelist_count")))
    #expect(String(geometry.userVersion) == (try application.value("PRAGMA user_version")))
    #expect(firstDifference(image, try application.image(), pageSize: geometry.pageSize) == nil)
    let copy = folder.path("copy-\(UInt32.random(in: 0 ... .max)).db")
    try application.backup(to: copy)
    let copied = try #require(try folder.read(String(copy.dropFirst(folder.path.count + 1))))
    #expect(firstDifference(image, copied, pageSize: geometry.pageSize) == nil)
  }
}
