import BackupEngine
import FoundationEssentials
import TestSupport
import Testing

@Suite("The library's service", .ownThread)
struct ServiceTests {
  @Test("The service creates, lists, finds and verifies backups")
  func storing() async throws {
    let bed = try LibraryBed()
    let service = try bed.service()
    let first = try await service.create(description: "first", tags: ["one"])
    #expect(first.backupType == .manual && first.description == "first" && first.tags == ["one"])
    #expect(first.encrypted && first.compressed && first.totalRecords == 500)
    let second = try await service.create(type: .scheduled, compress: false)
    #expect(second.backupType == .scheduled && !second.compressed)
    #expect(try await service.list().map(\.id) == [second.id, first.id])
    #expect(try await service.list(limit: 1).map(\.id) == [second.id])
    #expect(try await service.metadata(of: "latest").id == second.id)
    #expect(try await service.metadata(of: first.id.text).status == .completed)
    let verification = try await service.verify(first.id)
    #expect(verification.verified && verification.errors.isEmpty)
    #expect(verification.checks.contains { $0.name == Check.Name.integrity && $0.outcome == .passed })
    #expect(try await service.metadata(of: first.id.text).status == .verified)
    #expect(
      try bed.folder.read("backups/\(first.filename)") != nil, "the default folder is backups beside the database")
  }

  @Test("A plan changes nothing; its execution restores and keeps a backup of the replaced content")
  func restoring() async throws {
    let bed = try LibraryBed()
    let service = try bed.service()
    let point = try await service.create()
    try bed.sql("DELETE FROM entries WHERE id > 100")
    let plan = try await service.planRestore(point.id)
    #expect(plan.install == .live && plan.pointID == point.id && plan.target == bed.database)
    #expect(plan.steps.contains { $0.kind == .safetyBackup } && plan.steps.contains { $0.kind.isDestructive })
    #expect(try bed.rows() == "100")
    #expect(try await service.list().count == 1)
    let outcome = try await service.execute(plan)
    #expect(try bed.rows() == "500")
    let safety = try #require(outcome.safetyBackupID)
    #expect(try await service.metadata(of: safety.text).backupType == .safety)
    try await service.restore(safety, createSafetyBackup: false)
    #expect(try bed.rows() == "100")
    #expect(try await service.list().count == 2, "a waived safety backup is not made")
  }

  @Test("A restore to a new file leaves the database unchanged")
  func restoringElsewhere() async throws {
    let bed = try LibraryBed()
    let service = try bed.service()
    let point = try await service.create()
    try bed.sql("DELETE FROM entries")
    let copy = bed.folder.path("copy.db")
    let outcome = try await service.execute(service.planRestore(point.id, to: copy))
    #expect(outcome.safetyBackupID == nil)
    #expect(try bed.rows(at: copy) == "500")
    #expect(try bed.rows() == "0")
    let error = await #expect(throws: HoldfastError.self) { try await service.planRestore(point.id, to: copy) }
    #expect(error?.code == .refused && error?.hint != nil)
  }

  @Test("The service deletes one backup, deletes old ones and counts the rest")
  func retiring() async throws {
    let bed = try LibraryBed(rows: 5)
    let service = try bed.plainService()
    var points: [PointMetadata] = []
    for _ in 0..<5 { points.append(try await service.create()) }
    #expect(points.allSatisfy { !$0.encrypted })
    try await service.delete(points[4].id)
    let policy = RetentionPolicy(keepLast: 2)
    let plan = try await service.planCleanup(by: policy)
    #expect(Set(plan.remove.map(\.id)) == [points[0].id, points[1].id])
    #expect(try await service.stats().total == 4)
    #expect(try await service.cleanUp(keeping: 2) == plan)
    let stats = try await service.stats()
    #expect(stats.total == 2 && stats.failed == 0 && stats.newest == points[3].created)
    #expect(stats.averageSize * 2 <= stats.totalSize + 1)
    let error = await #expect(throws: HoldfastError.self) { try await service.cleanUp(keeping: 0) }
    #expect(error?.code == .usage)
    #expect(try await service.stats().total == 2)
  }

  @Test("A key file, bytes or a password file opens a backup, and a wrong secret is reported")
  func secrets() async throws {
    let bed = try LibraryBed(rows: 5)
    let key = try bed.folder.write("key", Array(String(repeating: "0123456789abcdef", count: 4).utf8))
    let file = try bed.folder.write("password", Array("from a file\n".utf8))
    func service(_ credentials: Credentials) throws -> BackupService {
      try BackupService(
        databaseURL: bed.database, credentials: credentials, options: bed.options, logger: LibraryBed.silent)
    }
    let point = try await service(Credentials(keyFile: key, passwordFile: file)).create()
    for credentials in [
      try Credentials(keyFile: key), try Credentials(passwordFile: file),
      try Credentials(password: Array("from a file".utf8)),
    ] {
      #expect(try await service(credentials).verify(point.id, recheck: true).verified)
    }
    let wrong = try service(Credentials(password: Array("another".utf8)))
    var error = await #expect(throws: HoldfastError.self) { try await wrong.planRestore(point.id) }
    #expect(error?.code == .wrongKey)
    error = await #expect(throws: HoldfastError.self) { try await wrong.create() }
    #expect(error?.code == .wrongKey)
    #expect(throws: HoldfastError.self) { try Credentials(password: []) }
    #expect(throws: HoldfastError.self) { try Credentials(keyFile: file) }
  }

  @Test("Errors are of one type, with a code")
  func errors() async throws {
    let bed = try LibraryBed(rows: 1)
    let keyless = try bed.service(password: nil)
    var error = await #expect(throws: HoldfastError.self) { try await keyless.list() }
    #expect(error?.code == .pointNotFound)
    error = await #expect(throws: HoldfastError.self) { try await keyless.create() }
    #expect(error?.code == .keyMissing)
    error = await #expect(throws: HoldfastError.self) { try await keyless.list(limit: -1) }
    #expect(error?.code == .usage)
    let nowhere = try BackupService(
      databaseURL: bed.folder.path("missing.db"), encryptionPassword: "x", options: bed.options,
      logger: LibraryBed.silent)
    error = await #expect(throws: HoldfastError.self) { try await nowhere.create() }
    #expect(error?.code == .databaseMissing)
    for url in ["postgres://localhost/app", "sqlite:///my%20app.db", ""] {
      error = #expect(throws: HoldfastError.self) { try BackupService(databaseURL: url) }
      #expect(error?.code == .usage, "\(url)")
    }
  }

  @Test("If a path is relative, it starts at the working folder of the service's creation")
  func relativePaths() throws {
    let bed = try LibraryBed(rows: 1)
    let service = try BackupService(
      databaseURL: "sqlite:///./data/app.db", backupDirectory: "kept", options: bed.options, logger: LibraryBed.silent)
    let folder = FileManager.default.currentDirectoryPath
    #expect(service.engine.database == "\(folder)/./data/app.db")
    #expect(service.engine.folder == "\(folder)/kept")
    #expect(service.engine.environment.stateFolder == bed.folder.path("state"))
  }
}
