import BackupEngine
import BackupPolicy
import TestSupport
import Testing

/// An archive that differs from the stored one: reported in words, with the documented code, and
/// nothing changes on the disk.
@Suite("An archive that was damaged or changed", .ownThread)
struct TamperTests {
  private func stored(_ secret: TestBed.Secret = .key, _ change: (inout CreateRequest) -> Void = { _ in }) throws -> (
    bed: TestBed, point: PointMetadata, path: String, bytes: [UInt8]
  ) {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 150, bytes: 400)
    var request = CreateRequest()
    change(&request)
    let point = try bed.engine(secret).create(request)
    return (bed, point, "backups/\(point.filename)", try bed.folder.read("backups/\(point.filename)") ?? [])
  }

  /// Reads the whole point into a new file. Returns the code of the failure, or nil if it was
  /// restored.
  private func restoreCode(_ bed: TestBed, _ id: PointID, _ secret: TestBed.Secret = .key) -> HoldfastError.Code? {
    do {
      try restore(bed.engine(secret), id, to: bed.folder.path("out.db"))
      return nil
    } catch {
      return (error as? HoldfastError)?.code ?? .failed
    }
  }

  @Test("A flipped bit at every 100th offset is found by the archive itself, without the checksum")
  func flippedBits() throws {
    let (bed, point, path, bytes) = try stored()
    // Without metadata only the archive's own authentication can detect it.
    try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(point.id).json")
    for offset in stride(from: 0, to: bytes.count, by: 100) {
      var changed = bytes
      changed[offset] ^= 1 << UInt8(offset % 8)
      _ = try bed.folder.write(path, changed)
      try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(point.id).json")
      let before = try FolderDigest.of(bed.folder.path, ignoring: [])
      let code = restoreCode(bed, point.id)
      #expect(
        [.archiveCorrupt, .verificationFailed, .wrongKey].contains(code) || (offset == 0 && code == .unauthenticated),
        "offset \(offset): \(String(describing: code))")
      #expect(before.differences(to: try FolderDigest.of(bed.folder.path, ignoring: [])) == [], "offset \(offset)")
    }
  }

  @Test("Verify names the check that failed and keeps the error")
  func verifyNamesTheCheck() throws {
    let (bed, point, path, bytes) = try stored()
    var changed = bytes
    changed[bytes.count / 2] ^= 4
    _ = try bed.folder.write(path, changed)
    let verification = try bed.engine().verify(point.id.text)
    #expect(!verification.verified)
    let failed = verification.checks.filter { $0.outcome == .failed }.map(\.name)
    #expect(failed == [Check.Name.checksum, Check.Name.decryption])
    let metadata = try bed.engine().list().first?.metadata
    #expect(metadata?.status == .failed)
    #expect(metadata?.verificationErrors.count == 2)
  }

  @Test(
    "An archive cut short or extended by any number of bytes is refused", arguments: [1, 4, 15, 16, 17, 100, 65552])
  func cutAndExtended(count: Int) throws {
    let (bed, point, path, bytes) = try stored()
    try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(point.id).json")
    for changed in [
      Array(bytes.dropLast(count)), bytes + [UInt8](repeating: 7, count: count), bytes + bytes.suffix(count),
    ] {
      _ = try bed.folder.write(path, changed)
      try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(point.id).json")
      let code = restoreCode(bed, point.id)
      #expect(
        [.archiveCorrupt, .verificationFailed].contains(code) || (changed.isEmpty && code == .unauthenticated),
        "\(changed.count) bytes: \(String(describing: code))")
    }
  }

  @Test("Two archives swapped by name are refused")
  func swapped() throws {
    let (bed, first, path, bytes) = try stored()
    try bed.change("UPDATE marker SET text = 'second'")
    let second = try bed.engine().create(CreateRequest())
    let other = try bed.folder.read("backups/\(second.filename)") ?? []
    _ = try bed.folder.write(path, other)
    _ = try bed.folder.write("backups/\(second.filename)", bytes)
    for id in [first.id, second.id] {
      #expect(restoreCode(bed, id) == .verificationFailed)
      #expect(try !bed.engine().verify(id.text).verified)
    }
    let problems = try bed.engine().list().flatMap(\.problems)
    #expect(problems.allSatisfy { $0.contains("renamed or swapped") } && problems.count == 2, "\(problems)")
  }

  @Test("A wrong key, a wrong password or a missing one is refused", arguments: [TestBed.Secret.key, .password])
  func wrongSecret(_ secret: TestBed.Secret) throws {
    let (bed, point, _, _) = try stored(secret)
    let before = try FolderDigest.of(bed.folder.path, ignoring: [])
    let wrong = Credentials(
      password: SecretBytes(Array("not it".utf8)), key: SecretBytes([UInt8](repeating: 9, count: 32)))
    for (credentials, code) in [(wrong, HoldfastError.Code.wrongKey), (Credentials(), .keyMissing)] {
      let error = #expect(throws: HoldfastError.self) {
        try restore(bed.engine(credentials), point.id, to: bed.folder.path("out.db"))
      }
      #expect(error?.code == code && error?.hint != nil)
      #expect(error?.code.exitCode == 5)
      #expect(throws: HoldfastError.self) { try bed.engine(credentials).verify(point.id.text) }
    }
    #expect(before.differences(to: try FolderDigest.of(bed.folder.path, ignoring: [])) == [])
  }

  @Test("With aes-256-cbc the checksum distinguishes a wrong password from damage", arguments: [true, false])
  func wrongPasswordOfCBC(compress: Bool) throws {
    let (bed, point, path, bytes) = try stored(.password) {
      $0.archive.cipher = .aes256CBC
      $0.archive.compress = compress
    }
    let wrong = Credentials(password: SecretBytes(Array("not it".utf8)))
    let error = #expect(throws: HoldfastError.self) {
      try restore(bed.engine(wrong), point.id, to: bed.folder.path("out.db"))
    }
    #expect(error?.code == .wrongKey, "\(String(describing: error))")
    var changed = bytes
    changed[bytes.count - 1] ^= 1
    _ = try bed.folder.write(path, changed)
    #expect(restoreCode(bed, point.id, .password) == .archiveCorrupt)
  }

  @Test("A point without authentication in a sealed repository is refused", arguments: ["plain", "cbc", "both names"])
  func downgraded(_ way: String) throws {
    let (bed, point, path, bytes) = try stored(.both)
    // The forger makes an archive of their own database in another place and gives it the point's
    // name and adjusted metadata.
    let forger = try TestBed()
    try forger.makeDatabase(marker: "forged")
    var request = CreateRequest()
    request.archive.encrypt = way == "cbc"
    request.archive.cipher = .aes256CBC
    let forged = try forger.engine(.password).create(request)
    #expect(forged.id == point.id)
    if way != "both names" { try SystemFileOperations().unlink(bed.folder.path(path)) }
    _ = try bed.folder.write("backups/\(forged.filename)", try forger.folder.read("backups/\(forged.filename)") ?? [])
    if way != "both names" {
      _ = try bed.folder.write(
        "backups/.metadata/\(point.id).json", try forger.folder.read("backups/.metadata/\(point.id).json") ?? [])
      let error = #expect(throws: HoldfastError.self) {
        try restore(bed.engine(.both), point.id, to: bed.folder.path("out.db"))
      }
      #expect(error?.code == .unauthenticated && error?.code.exitCode == 8)
      #expect(try bed.engine(.both).list().map(\.metadata.status) == [.unauthenticated])
      #expect(try !bed.engine(.both).verify(point.id.text).verified)
      #expect(throws: HoldfastError.self) { try bed.engine(.both).point("latest") }
      let accepted = RestoreRequest(
        pointID: point.id, target: .newFile(path: bed.folder.path("accepted.db")), acceptUnauthenticated: true)
      guard case .plan(let plan) = try bed.engine(.both).planRestore(accepted) else { throw BrokenPromise("no plan") }
      _ = try bed.engine(.both).restore(plan)
      #expect(try bed.marker(at: bed.folder.path("accepted.db")) == "forged")
    } else {
      // Beside the real one the forgery is ignored and reported.
      try restore(bed.engine(.both), point.id, to: bed.folder.path("out.db"))
      #expect(try bed.marker(at: bed.folder.path("out.db")) == "first")
      #expect(try bed.engine(.both).list().first?.problems.contains { $0.contains("ignored") } == true)
      #expect(try bed.folder.read(path) == bytes)
    }
  }

  @Test("Plain points stay trusted if they were there before the seal or this host stored them since")
  func trustedPlainPoints() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    var plain = CreateRequest()
    plain.archive.encrypt = false
    let before = try bed.engine().create(plain)
    _ = try bed.engine().create(CreateRequest())
    let since = try bed.engine().create(plain)
    for id in [before.id, since.id] { #expect(try bed.engine().verify(id.text).verified) }
    // A host without this state has no reason to doubt a folder that it sees for the first time,
    // but if the folder moves, the host that sealed it still knows it.
    let moved = bed.folder.path("moved")
    #expect(try Shell.run("mv", [bed.backups, moved]).status == 0)
    let engine = Engine(
      database: bed.database, folder: moved, credentials: TestBed.credentials(.key), environment: bed.environment())
    _ = try bed.folder.write("moved/backup_20231117_000000.db", try bed.folder.read("moved/\(before.filename)") ?? [])
    #expect(try engine.point("backup_20231117_000000").metadata.status == .unauthenticated)
  }

  @Test("Four billion PBKDF2 iterations are refused before they are tried")
  func iterations() throws {
    let (bed, point, path, bytes) = try stored(.password)
    var changed = bytes
    let fixed = Int(bytes[12...15].reduce(0) { $0 << 8 | UInt32($1) })
    // count (2), type, 0, length (2), then the iterations.
    changed.replaceSubrange((fixed + 6)..<(fixed + 10), with: [0xff, 0xff, 0xff, 0xff])
    let script = "import sys,zlib; d=sys.stdin.buffer.read(); sys.stdout.buffer.write(zlib.crc32(d).to_bytes(4,'big'))"
    let end = fixed + 6 + 4 + 16 + 12 + 48
    let crc = try Python.run(script: script, stdin: Array(changed[..<end])).output
    changed.replaceSubrange(end..<(end + 4), with: crc)
    _ = try bed.folder.write(path, changed)
    let error = #expect(throws: HoldfastError.self) {
      try restore(bed.engine(.password), point.id, to: bed.folder.path("out.db"))
    }
    #expect(error?.message.contains("4294967295") == true, "\(String(describing: error))")
    #expect(error?.code.exitCode == 3)
  }

  @Test("A decompression bomb is stopped at the recorded size")
  func bomb() throws {
    let (bed, point, path, _) = try stored(.none) { $0.archive.encrypt = false }
    let script =
      "import gzip,sys; sys.stdout.buffer.write(gzip.compress(b'SQLite format 3\\0' + bytes(200_000_000), 9))"
    let bomb = try Python.run(script: script).output
    #expect(bomb.count < 400_000)
    _ = try bed.folder.write(path, bomb)
    for withMetadata in [true, false] {
      if !withMetadata { try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(point.id).json") }
      #expect([.archiveCorrupt, .verificationFailed].contains(restoreCode(bed, point.id, .none)))
      #expect(try bed.folder.read("out.db") == nil)
    }
    #expect(try Shell.run("find", [bed.folder.path, "-name", ".tmp-*"]).stdout == "")
  }
}

/// One word in the clear metadata, which anybody with write access to the folder can change.
@Suite("A verdict in the clear metadata does not affect an authentic archive", .ownThread)
struct AccusedTests {
  private func accuse(_ bed: TestBed, _ id: PointID) throws {
    let path = "backups/.metadata/\(id).json"
    guard case .object(var keys) = JSONValue(parsing: try bed.folder.read(path) ?? []) else {
      throw BrokenPromise("no metadata")
    }
    keys["status"] = .string("failed")
    _ = try bed.folder.write(path, JSONValue.object(keys).encoded())
  }

  private func damage(_ bed: TestBed, _ point: PointMetadata) throws {
    var bytes = try #require(try bed.folder.read("backups/\(point.filename)"))
    bytes[bytes.count / 2] ^= 1
    _ = try bed.folder.write("backups/\(point.filename)", bytes)
  }

  @Test("A cleanup removes a point as failed only if it fails again", arguments: [TestBed.Secret.key, .none])
  func cleanup(secret: TestBed.Secret) throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 60)
    var request = CreateRequest()
    request.archive.encrypt = secret == .key
    var points: [PointMetadata] = []
    for _ in 0..<4 {
      points.append(try bed.engine(secret).create(request))
      bed.time.advance(seconds: 60)
    }
    for point in points.prefix(3) { try accuse(bed, point.id) }
    try damage(bed, points[1])
    for decision in [
      try bed.engine(secret).planCleanup(RetentionPolicy(keepLast: 10)),
      try bed.engine(secret).cleanup(RetentionPolicy(keepLast: 10)),
    ] { #expect(decision.remove.map(\.id) == [points[1].id]) }
    #expect(try bed.engine(secret).list().map(\.id) == [points[3].id, points[2].id, points[0].id])
  }

  @Test("Without the key nothing is known, and no point is removed as failed")
  func withoutKey() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 60)
    let first = try bed.engine().create(CreateRequest())
    bed.time.advance(seconds: 60)
    _ = try bed.engine().create(CreateRequest())
    try accuse(bed, first.id)
    try damage(bed, first)
    #expect(try bed.engine(.none).planCleanup(RetentionPolicy(keepLast: 10)).remove.isEmpty)
  }

  @Test("The incrementals of an accused full stay with it, accused or not")
  func chain() throws {
    let bed = try TestBed()
    let chain = try bed.makeChain(incrementals: 2)
    bed.time.advance(seconds: 60)
    let next = try bed.engine().create(CreateRequest())
    try accuse(bed, chain[0].id)
    try accuse(bed, chain[1].id)
    let decision = try bed.engine().cleanup(RetentionPolicy(keepLast: 10))
    #expect(decision.remove.isEmpty && Set(decision.keep.map(\.id)) == Set(chain.map(\.id) + [next.id]))
  }

  @Test("A verification withdraws the verdict")
  func latest() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let first = try bed.engine().create(CreateRequest())
    bed.time.advance(seconds: 60)
    let second = try bed.engine().create(CreateRequest())
    try accuse(bed, second.id)
    #expect(try bed.engine().point("latest").id == first.id)
    #expect(try bed.engine().verify(second.id.text).verified)
    #expect(try bed.engine().point("latest").id == second.id)
  }
}
