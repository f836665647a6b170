import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

@Suite("A session of incrementals", .ownThread)
struct ChangeFollowerTests {
  /// Steps of one incremental of two pages, in the middle of a session.
  private func steps(rows: Int, points: Int) throws -> [String] {
    let bed = try TestBed()
    try bed.makeDatabase(rows: rows, bytes: 300)
    for _ in 0..<points { _ = try bed.engine().create(CreateRequest()) }
    let faults = StepFaults()
    let session = ChangeFollower(bed.engine(files: faults))
    var last: [String] = []
    for round in 0..<3 {
      bed.time.advance(milliseconds: 1000)
      try bed.change("UPDATE marker SET text = '\(round)'")
      let before = faults.count
      guard case .stored = try session.store(CreateRequest(), .superset([1, 2]), of: bed.database) else {
        throw BrokenPromise("nothing was stored")
      }
      last = Array(faults.steps.dropFirst(before))
    }
    let newest = try bed.engine().point("latest").id
    #expect(try bed.restored(newest) == bed.image())
    return last.map { step in
      String(step.split(separator: " ")[1]) + (step.contains("scratch") ? " scratch" : "")
    }
  }

  @Test(
    "An incremental's work does not grow with the database or repository: it flushes one file and one folder")
  func constantWork() throws {
    let small = try steps(rows: 20, points: 1)
    let large = try steps(rows: 9000, points: 6)
    #expect(small == large)
    #expect(small.filter { $0 == "sync" }.count == 1 && small.filter { $0 == "syncFolder" }.count == 1, "\(small)")
    #expect(!small.contains("list"), "\(small)")
  }

  @Test("A session notices a full, a removal and a replaced table by other programs")
  func others() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 100, bytes: 300)
    _ = try bed.engine().create(CreateRequest())
    let session = ChangeFollower(bed.engine())
    func next(_ text: String) throws -> PointMetadata {
      bed.time.advance(milliseconds: 1000)
      try bed.change("UPDATE marker SET text = '\(text)'")
      let outcome = try session.store(CreateRequest(), .unknown, of: bed.database)
      guard case .stored(let point, _) = outcome else { throw BrokenPromise("\(text): \(outcome)") }
      #expect(try bed.restored(point.id) == bed.image(), "\(text)")
      return point
    }
    let first = try next("one")
    bed.time.advance(milliseconds: 1000)
    let full = try bed.engine().create(CreateRequest())
    let second = try next("second")
    #expect(second.parentID == full.id && second.chainID == full.id && second.sequence == 4)
    // In the same session again; then its newest point is removed.
    let third = try next("third")
    #expect(third.parentID == second.id)
    _ = try bed.engine().delete(third.id.text)
    let fourth = try next("fourth")
    #expect(fourth.parentID == second.id && fourth.sequence == 6)
    // By hand, without the lock.
    try SystemFileOperations().unlink(bed.archivePath(fourth))
    try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(fourth.id).json")
    #expect(try next("fifth").parentID == second.id)
    #expect(first.chainID != full.id)
  }

  @Test("If the clock is set back, names stay unique and the order stays")
  func clock() throws {
    let bed = try TestBed()
    _ = try bed.makeChain(incrementals: 3)
    let session = ChangeFollower(bed.engine())
    for round in 0..<3 {
      bed.time.advance(milliseconds: -2000)
      try bed.change("UPDATE marker SET text = 'back \(round)'")
      guard case .stored = try session.store(CreateRequest(), .unknown, of: bed.database) else {
        throw BrokenPromise("nothing was stored")
      }
    }
    let points = try bed.engine().list()
    #expect(
      Set(points.map(\.id)).count == 7 && points.map(\.metadata.sequence) == (1...7).reversed().map { UInt64($0) })
    #expect(try bed.restored(points[0].id) == bed.image())
  }

  @Test(
    "A session with another password or key never builds on the existing points",
    arguments: [TestBed.Secret.key, .password])
  func otherKey(_ secret: TestBed.Secret) throws {
    let bed = try TestBed()
    _ = try bed.makeChain(secret, incrementals: 1)
    try bed.change("UPDATE marker SET text = 'later'")
    let wrong = Credentials(
      password: SecretBytes(Array("not it".utf8)), key: SecretBytes([UInt8](repeating: 9, count: 32)))
    let error = #expect(throws: HoldfastError.self) {
      try bed.engine(wrong).store(CreateRequest(), kind: .incremental)
    }
    #expect(error?.code == .wrongKey && error?.code.exitCode == 5)
    // The key beside the password opens it, and hashes pages in another way: a full.
    guard case .stored(let point, let reason) = try bed.engine(.both).store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    #expect(point.kind == (secret == .key ? .incremental : .full), "\(reason)")
  }

  @Test("Another page size or another path gives a full with a reason")
  func otherShape() throws {
    let bed = try TestBed()
    _ = try bed.makeChain(incrementals: 1)
    for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(bed.database + suffix) }
    try bed.makeDatabase(rows: 60, pageSize: 8192)
    guard case .stored(let point, let reason) = try bed.engine().store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    #expect(point.kind == .full && reason.contains("another page size"))
    let moved = bed.folder.path("moved.db")
    #expect(try Shell.run("mv", [bed.database, moved]).status == 0)
    bed.time.advance(milliseconds: 1000)
    let engine = bed.engine(.key, database: moved)
    guard case .stored(let second, let why) = try engine.store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    #expect(second.kind == .full && second.status == .completed && why.contains("another path"))
  }
}
