import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

/// Everything below the folder of decrypted files that was not swept yet.
private func leftovers(_ bed: TestBed) throws -> [String] {
  let files = SystemFileOperations()
  let folder = "\(bed.stateFolder)/scratch"
  return try files.status(folder) == nil ? [] : files.list(folder)
}

@Suite("A point in scratch space", .ownThread)
struct ScratchPointTests {
  @Test(
    "Any point of a chain opens in scratch space, read-only, and its file has no name",
    arguments: [TestBed.Secret.key, .none])
  func content(secret: TestBed.Secret) throws {
    let bed = try TestBed()
    var request = CreateRequest()
    request.archive.encrypt = secret != .none
    let points = try bed.makeChain(secret, request)
    for (step, point) in points.enumerated() {
      let engine = bed.engine(secret)
      let scratch = try engine.scratch(engine.point(point.id.text))
      #expect(try scratch.connection.text("SELECT text FROM marker") == "\(step)")
      #expect(scratch.size == point.originalSize && scratch.digest?.hex == point.digest)
      #expect(try leftovers(bed) == [])
      #expect(throws: DatabaseError.self) { try scratch.connection.execute("DELETE FROM marker") }
      scratch.close()
    }
  }

  @Test("A point is refused if an archive was changed, and leaves nothing")
  func damaged() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(.none, incrementalsUnencrypted)
    let path = bed.archivePath(points[1])
    var bytes = try SystemFileOperations().contents(path)!
    bytes[bytes.count - 20] ^= 1
    _ = try bed.folder.write("backups/\(points[1].filename)", bytes)
    let engine = bed.engine(.none)
    #expect(throws: HoldfastError.self) { try engine.scratch(engine.point(points[3].id.text)) }
    #expect(try leftovers(bed) == [])
    _ = try engine.scratch(engine.point(points[0].id.text))
  }

  @Test("A point that this host cannot authenticate is refused, unless the caller accepts it")
  func unauthenticated() throws {
    let bed = try TestBed()
    _ = try bed.makeChain(incrementals: 0)
    let forger = try TestBed()
    try forger.makeDatabase(marker: "forged")
    let forged = try forger.engine(.none).create(incrementalsUnencrypted)
    let bytes = try forger.folder.read("backups/\(forged.filename)") ?? []
    _ = try bed.folder.write("backups/backup_20231117_000000.db.gz", bytes)
    let engine = bed.engine()
    let point = try engine.point("backup_20231117_000000")
    let error = #expect(throws: HoldfastError.self) { try engine.scratch(point) }
    #expect(error?.code == .unauthenticated)
    let scratch = try engine.scratch(point, acceptUnauthenticated: true)
    #expect(try scratch.connection.text("SELECT text FROM marker") == "forged")
    #expect(throws: HoldfastError.self) {
      try engine.difference(.point(point), .live, DifferenceRequest())
    }
  }

  @Test("A point is not unpacked if there is not enough room")
  func space() throws {
    let bed = try TestBed()
    let point = try bed.makeChain(incrementals: 0)[0]
    let engine = bed.engine(files: UnflushedFileOperations(free: 1000))
    do {
      _ = try engine.scratch(engine.point(point.id.text))
      Issue.record("it was restored")
    } catch let error as HoldfastError {
      #expect(error.code == .noSpace && error.message.contains("\(bed.stateFolder)/scratch"), "\(error)")
    }
    #expect(try leftovers(bed) == [])
  }

  @Test("A scratch point leaves nothing decrypted, wherever the run dies or fails", arguments: FaultSweep.Kind.allCases)
  func faults(kind: FaultSweep.Kind) throws {
    try FaultSweep(
      prepare: { try $0.makeChain(incrementals: 1, rows: 20).last?.id },
      work: { engine, id in
        let scratch = try engine.scratch(engine.point(id!.text))
        guard try scratch.connection.text("SELECT text FROM marker") == "1" else {
          throw BrokenPromise("wrong content")
        }
      },
      check: { bed, _ in
        let engine = bed.engine()
        // The next run removes the files that a killed one could not.
        _ = try engine.scratch(engine.point("latest"))
        let left = try leftovers(bed)
        guard left.isEmpty else { throw BrokenPromise("left over: \(left)") }
      }
    ).sweep(kind)
  }

  private var incrementalsUnencrypted: CreateRequest {
    var request = CreateRequest()
    request.archive.encrypt = false
    return request
  }
}
