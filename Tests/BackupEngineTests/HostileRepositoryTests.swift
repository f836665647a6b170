import BackupEngine
import BackupPolicy
import TestSupport
import Testing

/// A repository that other users can write to, a mistyped password, an unreliable disk.
@Suite("A repository that others write to", .ownThread)
struct HostileRepositoryTests {
  private let plain: CreateRequest = {
    var request = CreateRequest()
    request.archive.encrypt = false
    return request
  }()

  private func world(_ secret: TestBed.Secret = .key, points: Int = 1) throws -> (bed: TestBed, points: [PointMetadata])
  {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 60)
    let points = try (0..<points).map { _ in
      bed.time.advance(seconds: 60)
      return try bed.engine(secret).create(CreateRequest())
    }
    return (bed, points)
  }

  private func names(_ bed: TestBed) throws -> [String] { try SystemFileOperations().list(bed.backups).sorted() }

  @Test("A restore without or with a wrong key leaves no safety backup behind, plain or otherwise")
  func restoreWithoutKey() throws {
    let (bed, points) = try world()
    let before = try names(bed)
    for credentials in [Credentials(), Credentials(key: SecretBytes([UInt8](repeating: 7, count: 32)))] {
      let error = #expect(throws: HoldfastError.self) { try restoreInPlace(bed.engine(credentials), points[0].id) }
      #expect(error?.code.exitCode == 5)
      #expect(try names(bed) == before)
    }
  }

  @Test("A mistyped password is reported at the backup, not when it is needed")
  func mistypedPassword() throws {
    let (bed, _) = try world(.password)
    let before = try names(bed)
    let wrong = Credentials(password: SecretBytes(Array("correct horse battery stable".utf8)))
    let error = #expect(throws: HoldfastError.self) { try bed.engine(wrong).create(CreateRequest()) }
    #expect(error?.code == .wrongKey && error?.hint != nil)
    #expect(try names(bed) == before)
  }

  @Test("Cleanup removes no point because it is unreadable, swapped or of a newer version")
  func cleanupKeepsDamaged() throws {
    let (bed, points) = try world(points: 4)
    let files = points.map { "backups/\($0.filename)" }
    let first = try bed.folder.read(files[0]) ?? []
    let second = try bed.folder.read(files[1]) ?? []
    _ = try bed.folder.write(files[0], second)
    _ = try bed.folder.write(files[1], first)
    let decision = try bed.engine().cleanup(RetentionPolicy(keepLast: 10))
    #expect(decision.remove.isEmpty)
    #expect(try names(bed).filter { $0.hasPrefix("backup_") }.count == 4)
    // The points that count still follow the count, and the damaged ones stay.
    _ = try bed.engine().verify(points[3].id.text)
    _ = try bed.engine().cleanup(RetentionPolicy(keepLast: 1))
    #expect(Set(try bed.engine().list().map(\.id)) == [points[0].id, points[1].id, points[3].id])
  }

  @Test("Forged points with the repository's ID do not push real ones out")
  func forgedPointsDoNotCount() throws {
    let (bed, points) = try world(points: 2)
    let forger = try TestBed()
    try forger.makeDatabase(marker: "forged")
    forger.time.set(bed.time.now().adding(seconds: 600))
    let theirs = Credentials(key: SecretBytes([UInt8](repeating: 3, count: 32)))
    // The forger copies the identity, which is in the clear.
    _ = try forger.engine(theirs).create(CreateRequest())
    let identity = try bed.folder.read("backups/.state/repository.json") ?? []
    _ = try forger.folder.write("backups/.state/repository.json", identity)
    try SystemFileOperations().unlink("\(forger.stateFolder)/none")
    for _ in 0..<3 {
      forger.time.advance(seconds: 1)
      let fresh = Engine(
        database: forger.database, folder: forger.folder.path("clean"), credentials: theirs,
        environment: forger.environment())
      _ = try SystemFileOperations().makeFolders(forger.folder.path("clean/.state"))
      _ = try forger.folder.write("clean/.state/repository.json", identity)
      let forged = try fresh.create(CreateRequest())
      let bytes = try forger.folder.read("clean/\(forged.filename)") ?? []
      _ = try bed.folder.write("backups/\(forged.filename)", bytes)
    }
    // They claim to belong to another database; an engine for no database also sees them.
    #expect(try bed.engine().list().count == 2)
    let all = Engine(
      database: nil, folder: bed.backups, credentials: TestBed.credentials(.key), environment: bed.environment())
    #expect(try all.list().count == 5)
    _ = try all.cleanup(RetentionPolicy(keepLast: 2))
    let left = Set(try bed.engine().list().map(\.id))
    #expect(left.isSuperset(of: points.map(\.id)))
  }

  @Test("Metadata that calls a planted plain archive failed does not get it past the seal")
  func plantedAsFailed() throws {
    let (bed, _) = try world()
    let forger = try TestBed()
    try forger.makeDatabase(marker: "forged")
    let forged = try forger.engine(.none).create(plain)
    _ = try bed.folder.write("backups/\(forged.filename)", try forger.folder.read("backups/\(forged.filename)") ?? [])
    let json = String(decoding: try forger.folder.read("backups/.metadata/\(forged.id).json") ?? [], as: UTF8.self)
    _ = try bed.folder.write(
      "backups/.metadata/\(forged.id).json", Array(json.replacing("\"completed\"", with: "\"failed\"").utf8))
    #expect(try !bed.engine().verify(forged.id.text).verified)
  }

  @Test("--no-verify does not accept other bytes than this host stored")
  func replacedBytes() throws {
    let (bed, _) = try world()
    bed.time.advance(seconds: 5)
    let stored = try bed.engine().create(plain)
    try bed.change("UPDATE marker SET text = 'forged'")
    let forger = try TestBed()
    try forger.makeDatabase(rows: 60, marker: "forged")
    let forged = try forger.engine(.none).create(plain)
    _ = try bed.folder.write("backups/\(stored.filename)", try forger.folder.read("backups/\(forged.filename)") ?? [])
    let request = RestoreRequest(
      pointID: stored.id, target: .newFile(path: bed.folder.path("out.db")), verifyFirst: false)
    guard case .plan(let plan) = try bed.engine().planRestore(request) else { throw BrokenPromise("no plan") }
    let error = #expect(throws: HoldfastError.self) { try bed.engine().restore(plan) }
    #expect(error?.code == .unauthenticated)
    #expect(try bed.folder.read("out.db") == nil)
  }

  @Test("A plain point whose metadata is lost is still the one that this host stored")
  func lostMetadataOfPlainPoint() throws {
    let (bed, _) = try world()
    bed.time.advance(seconds: 5)
    let stored = try bed.engine().create(plain)
    try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(stored.id).json")
    #expect(try bed.engine().verify(stored.id.text).verified)
  }

  @Test("A header with a sequence of 2^64 - 1 is refused, and backups continue")
  func greatestSequence() throws {
    let (bed, points) = try world()
    var bytes = try bed.folder.read("backups/\(points[0].filename)") ?? []
    bytes.replaceSubrange(32..<40, with: [UInt8](repeating: 0xff, count: 8))
    let fixed = Int(bytes[12...15].reduce(0) { $0 << 8 | UInt32($1) })
    let end = fixed + 2 + 4 + 60
    let script = "import sys,zlib; d=sys.stdin.buffer.read(); sys.stdout.buffer.write(zlib.crc32(d).to_bytes(4,'big'))"
    bytes.replaceSubrange(end..<(end + 4), with: try Python.run(script: script, stdin: Array(bytes[..<end])).output)
    _ = try bed.folder.write("backups/backup_20990101_000000.db.gz.enc", bytes)
    _ = try bed.folder.write("backups/\(points[0].filename)", bytes)
    bed.time.advance(seconds: 60)
    let next = try bed.engine().create(CreateRequest())
    #expect(next.sequence == 2)
    _ = try bed.engine().statistics()
  }

  @Test("Sizes near 2^63 in the metadata overflow nothing")
  func greatestSizes() throws {
    let (bed, points) = try world(points: 2)
    for point in points {
      let path = "backups/.metadata/\(point.id).json"
      let text = String(decoding: try bed.folder.read(path) ?? [], as: UTF8.self)
      let changed = text.replacing(
        "\"compressed_size\" : \(point.compressedSize)", with: "\"compressed_size\" : 9223372036854775807"
      )
      .replacing("\"original_size\" : \(point.originalSize ?? 0)", with: "\"original_size\" : 9223372036854775807")
      #expect(changed != text)
      _ = try bed.folder.write(path, Array(changed.utf8))
    }
    #expect(try bed.engine().statistics().totalSize == .max)
    #expect(try !bed.engine().verify(points[0].id.text).verified)
    // Far larger than the disk: a refusal, not a trap.
    #expect(throws: HoldfastError.self) { try restore(bed.engine(), points[0].id, to: bed.folder.path("out.db")) }
  }

  @Test("A pipe, folder or link in place of an archive is reported and blocks nothing")
  func oddFiles() throws {
    let (bed, points) = try world()
    let script = """
      cd '\(bed.backups)' && mkfifo backup_20990101_000001.db.gz.enc && mkdir backup_20990101_000002.db.gz.enc &&
      ln -s ../app.db backup_20990101_000003.db.enc && mkfifo .metadata/backup_20990101_000004.json
      """
    #expect(try Shell.run("sh", ["-c", script]).status == 0)
    bed.time.advance(seconds: 60)
    let next = try bed.engine().create(CreateRequest())
    #expect(try bed.engine().point("latest").id == next.id)
    #expect(try bed.engine().list().filter(\.isDamaged).count == 3)
    try restore(bed.engine(), points[0].id, to: bed.folder.path("out.db"))
  }

  @Test("A description or tags that no reader would accept are a usage error, not a lost backup")
  func greatTags() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    var request = CreateRequest()
    request.reason.tags = [String(repeating: "x", count: 1_200_000)]
    let error = #expect(throws: HoldfastError.self) { try bed.engine().create(request) }
    #expect(error?.code == .usage)
    #expect(try bed.engine().list().isEmpty)
  }

  @Test("latest is never a safety backup")
  func latestIsNoSafetyBackup() throws {
    let (bed, points) = try world()
    try bed.change("UPDATE marker SET text = 'second'")
    bed.time.advance(seconds: 60)
    try restoreInPlace(bed.engine(), points[0].id)
    #expect(try bed.engine().list().first?.metadata.backupType == .safety)
    #expect(try bed.engine().point("latest").id == points[0].id)
  }

  @Test("Points that another program removed are missed, and those that this host removed are not")
  func rolledBack() throws {
    let (bed, points) = try world(points: 3)
    _ = try bed.engine().delete(points[2].id.text)
    let kept = try bed.engine().repository().hostState()
    #expect(kept?.expectedSequence == 2 && kept?.newestSequence == 3)
    bed.time.advance(seconds: 60)
    #expect(try bed.engine().create(CreateRequest()).sequence == 4)
  }
}
