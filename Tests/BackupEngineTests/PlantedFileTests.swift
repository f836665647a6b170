import BackupEngine
import BackupPolicy
import Glibc
import TestSupport
import Testing

/// The files that an attacker without the key can put into the folder, and the trust of this host
/// in them.
@Suite("Planted files", .ownThread)
struct PlantedFileTests {
  private static let plain: CreateRequest = {
    var request = CreateRequest()
    request.archive.encrypt = false
    return request
  }()

  private func world(_ secret: TestBed.Secret = .key) throws -> (bed: TestBed, point: PointMetadata) {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 60)
    let point = try bed.engine(secret).create(CreateRequest())
    bed.time.advance(seconds: 60)
    return (bed, point)
  }

  /// An engine of a host without any state.
  private func newHost(_ bed: TestBed, _ secret: TestBed.Secret = .key, name: String = "other-state") -> Engine {
    var environment = bed.environment()
    environment.stateFolder = bed.folder.path(name)
    return Engine(
      database: bed.database, folder: bed.backups, credentials: TestBed.credentials(secret), environment: environment)
  }

  /// A plain backup of another content that claims to be the newest and verified.
  private func plant(in bed: TestBed) throws -> PointID {
    let forger = try TestBed()
    forger.time.set(bed.time.now().adding(seconds: 3600))
    try forger.makeDatabase(rows: 60, marker: "forged")
    let forged = try forger.engine(.none).create(Self.plain)
    _ = try bed.folder.write("backups/\(forged.filename)", forger.folder.read("backups/\(forged.filename)") ?? [])
    var metadata = forged.json
    if case .object(var keys) = metadata {
      keys["sequence"] = .integer(900)
      keys["status"] = .string("verified")
      keys["verified"] = .bool(true)
      keys["database_path"] = .string(bed.database)
      metadata = .object(keys)
    }
    _ = try bed.folder.write("backups/.metadata/\(forged.id).json", metadata.encoded())
    return forged.id
  }

  @Test(
    "A host without state does not trust a plain archive beside authenticated ones",
    arguments: [
      TestBed.Secret.key, .none,
    ])
  func newHostAndPlain(secret: TestBed.Secret) throws {
    let (bed, point) = try world()
    let planted = try plant(in: bed)
    let engine = newHost(bed, secret)
    #expect(try engine.point(planted.text).metadata.status == .unauthenticated)
    #expect(try engine.point("latest").id == point.id)
    #expect(throws: HoldfastError.self) { try restore(engine, planted, to: bed.folder.path("out.db")) }
    // Its first backup does not accept the archive as a side effect, and takes no number from it.
    let next = try newHost(bed).create(CreateRequest())
    #expect(next.sequence == 2)
    #expect(try engine.point(planted.text).metadata.status == .unauthenticated)
    #expect(throws: HoldfastError.self) { try restore(engine, planted, to: bed.folder.path("out.db")) }
  }

  @Test("A plain archive counts if a person accepts it, and only with the same bytes")
  func acceptedOnPurpose() throws {
    let (bed, _) = try world()
    let planted = try plant(in: bed)
    let engine = newHost(bed)
    #expect(throws: HoldfastError.self) { try engine.accept(planted.text) }
    #expect(try engine.planUnauthenticatedAcceptance(planted.text).anomalies.count == 1)
    #expect(try !engine.acceptUnauthenticated(planted.text).wasAccepted)
    #expect(try engine.acceptUnauthenticated(planted.text).wasAccepted)
    #expect(try engine.point(planted.text).isAuthenticated)
    try restore(engine, planted, to: bed.folder.path("out.db"))
    #expect(try bed.marker(at: bed.folder.path("out.db")) == "forged")
    #expect(try !bed.engine().point(planted.text).isAuthenticated)
  }

  @Test("Old plain backups are accepted when a host seals a folder that had no others")
  func migration() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let old = try newHost(bed, .none, name: "old-state").create(Self.plain)
    bed.time.advance(seconds: 60)
    #expect(try bed.engine().point("latest").id == old.id)
    _ = try bed.engine().create(CreateRequest())
    #expect(try bed.engine().point(old.id.text).isAuthenticated)
    #expect(try !newHost(bed).point(old.id.text).isAuthenticated)
    // A plain backup of a host that does not seal is its own.
    bed.time.advance(seconds: 60)
    let late = try newHost(bed).create(Self.plain)
    #expect(try newHost(bed).point(late.id.text).isAuthenticated)
  }

  @Test("If an older version disowned a repository's archives, a person with the key can accept them again")
  func disowned() throws {
    let (bed, point) = try world()
    let interlude = try TestBed()
    try interlude.makeDatabase()
    interlude.time.set(bed.time.now())
    let other = try interlude.engine().create(CreateRequest())
    _ = try bed.folder.write("backups/\(other.filename)", interlude.folder.read("backups/\(other.filename)") ?? [])
    #expect(try !bed.engine().list().contains { $0.id == other.id && $0.isAuthenticated })
    let engine = Engine(
      database: nil, folder: bed.backups, credentials: TestBed.credentials(.key), environment: bed.environment())
    let wrong = Engine(
      database: nil, folder: bed.backups, credentials: Credentials(key: SecretBytes([UInt8](repeating: 7, count: 32))),
      environment: bed.environment())
    #expect(throws: HoldfastError.self) { try wrong.acceptUnauthenticated(other.id.text) }
    _ = try engine.acceptUnauthenticated(other.id.text)
    #expect(try engine.list().filter(\.isAuthenticated).count == 2)
    #expect(try bed.engine().point("latest").id == point.id)
  }

  @Test(
    "Metadata without an archive, and a plain archive, move no number",
    arguments: [
      UInt64(900), ArchiveNumbers.greatest,
    ])
  func sequence(number: UInt64) throws {
    let (bed, point) = try world()
    for id in ["backup_20200101_000000", "backup_20990101_000000"] {
      guard case .object(var keys) = point.json else { throw BrokenPromise("no metadata") }
      keys["backup_id"] = .string(id)
      keys["filename"] = .string("\(id).db.gz.enc")
      keys["sequence"] = .integer(Int64(number))
      _ = try bed.folder.write("backups/.metadata/\(id).json", JSONValue.object(keys).encoded())
    }
    _ = try plant(in: bed)
    for sequence in UInt64(2)...3 {
      bed.time.advance(seconds: 60)
      let next = try bed.engine().create(CreateRequest())
      #expect(next.sequence == sequence)
      #expect(try bed.engine().verify(next.id.text).verified)
    }
    // They do not prevent incrementals either.
    try bed.change("UPDATE marker SET text = 'more'")
    bed.time.advance(seconds: 60)
    guard case .stored(let incremental, let why) = try bed.engine().store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    #expect(incremental.kind == .incremental && incremental.sequence == 4, "\(why)")
  }

  @Test("A header with the repository's ID and another key moves no number and stops no backup")
  func forgedHeader() throws {
    let (bed, point) = try world()
    let forger = try TestBed()
    forger.time.set(bed.time.now().adding(seconds: 3600))
    try forger.makeDatabase(rows: 60)
    let identity = try bed.folder.read("backups/.state/repository.json") ?? []
    try SystemFileOperations().makeFolders(forger.folder.path("backups/.state"))
    _ = try forger.folder.write("backups/.state/repository.json", identity)
    let theirs = Credentials(key: SecretBytes([UInt8](repeating: 3, count: 32)))
    for _ in 0..<4 {
      forger.time.advance(seconds: 60)
      let forged = try forger.engine(theirs).create(CreateRequest())
      _ = try bed.folder.write("backups/\(forged.filename)", forger.folder.read("backups/\(forged.filename)") ?? [])
    }
    let next = try bed.engine().create(CreateRequest())
    #expect(next.sequence == 2 && next.repositoryID == point.repositoryID)
    try bed.change("UPDATE marker SET text = 'more'")
    bed.time.advance(seconds: 60)
    guard case .stored(let incremental, let why) = try bed.engine().store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    #expect(incremental.parentID == next.id, "\(why)")
  }

  @Test("A checksum in the clear metadata cannot make an authentic archive fail")
  func checksum() throws {
    let (bed, point) = try world()
    let path = "backups/.metadata/\(point.id).json"
    let text = String(decoding: try bed.folder.read(path) ?? [], as: UTF8.self)
    let changed = text.replacing(point.checksum ?? "-", with: String(repeating: "0", count: 64))
    #expect(changed != text)
    _ = try bed.folder.write(path, Array(changed.utf8))
    let verification = try bed.engine().verify(point.id.text)
    #expect(verification.verified && verification.notes.count == 1)
    try restore(bed.engine(), point.id, to: bed.folder.path("out.db"))
  }

  @Test("A listing derives no key for a planted archive without metadata")
  func derivation() throws {
    let (bed, point) = try world(.password)
    let forger = try TestBed()
    forger.time.set(bed.time.now().adding(seconds: 3600))
    try forger.makeDatabase(rows: 60)
    // The same password with another salt: its key would open the archive and show the digest.
    let forged = try forger.engine(.password).create(CreateRequest())
    _ = try bed.folder.write("backups/\(forged.filename)", forger.folder.read("backups/\(forged.filename)") ?? [])
    try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(point.id).json")
    let digests = try bed.engine(.password).list().map { [$0.id: $0.metadata.digest] }
    #expect(digests == [[forged.id: nil], [point.id: point.digest]])
  }

  /// The repository's own header with 32 slots of ten million rounds: minutes of derivations.
  private static let costly = """
    import json, os, struct, sys, zlib
    folder, old, new = sys.argv[1:]
    data = open(f"{folder}/{old}.db.gz.enc", "rb").read()
    fixed = data[:struct.unpack(">I", data[12:16])[0]]
    rest = 82 + struct.unpack(">H", fixed[80:82])[0]
    fixed = bytearray(fixed[:80] + struct.pack(">H", len(new)) + new.encode() + fixed[rest:])
    struct.pack_into(">I", fixed, 12, len(fixed))
    slots = struct.pack(">H", 32)
    for _ in range(32):
        body = struct.pack(">I", 10_000_000) + os.urandom(76)
        slots += bytes([1, 0]) + struct.pack(">H", len(body)) + body
    head = bytes(fixed) + slots
    open(f"{folder}/{new}.db.gz.enc", "wb").write(head + struct.pack(">I", zlib.crc32(head)) + bytes(200))
    metadata = json.load(open(f"{folder}/.metadata/{old}.json"))
    metadata |= {"backup_id": new, "filename": f"{new}.db.gz.enc", "status": "failed", "verified": False}
    json.dump(metadata, open(f"{folder}/.metadata/{new}.json", "w"))
    """

  @Test("A cleanup derives no key for a planted archive that its metadata calls failed")
  func costlyFailure() throws {
    let (bed, point) = try world(.password)
    let planted = "backup_20990101_000000"
    let result = try Python.run(script: Self.costly, arguments: [bed.backups, point.id.text, planted])
    #expect(result.status == 0, "\(result)")
    let listed = try bed.engine(.password).list()
    #expect(listed.first { $0.id.text == planted }?.metadata.status == .failed, "it is not seen as failed")
    // The processor time of this thread, because a busy machine makes the rest slow.
    let before = processorTime()
    #expect(try bed.engine(.password).cleanup(RetentionPolicy(keepLast: 10)).remove.isEmpty)
    let seconds = (processorTime() - before) / 1_000_000_000
    #expect(seconds < 20, "one derivation costs less than a second, these cost minutes")
    #expect(try bed.engine(.password).list().count == listed.count)
  }

  /// Nanoseconds of this thread.
  private func processorTime() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  @Test("A listing does not read a planted archive without metadata to its end")
  func hugeFile() throws {
    let (bed, _) = try world()
    let names = ["backup_20990101_000000.db", "backup_20990101_000001.db.enc", "backup_20990101_000002.pages"]
    for name in names {
      #expect(try Shell.run("truncate", ["-s", "1T", bed.folder.path("backups/\(name)")]).status == 0)
    }
    for secret in [TestBed.Secret.key, .none] {
      #expect(try bed.engine(secret).list().count >= 3)
      #expect(try newHost(bed, secret).list().count >= 3)
    }
  }
}

/// Limits of the format.
enum ArchiveNumbers {
  static let greatest: UInt64 = 1 << 62
}
