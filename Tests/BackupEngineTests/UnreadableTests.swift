import BackupEngine
import BackupPolicy
import Glibc
import TestSupport
import Testing

/// Permission denied, no descriptor left, an I/O error: none of them means that a file is missing.
@Suite("An error is not an absence", .ownThread)
struct UnreadableTests {
  /// A damaged full with its verdict, and a change in the database since.
  private func damagedFull() throws -> (bed: TestBed, full: PointMetadata) {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 60)
    let full = try bed.engine().create(CreateRequest())
    var bytes = try #require(try bed.folder.read("backups/\(full.filename)"))
    bytes[bytes.count / 2] ^= 1
    _ = try bed.folder.write("backups/\(full.filename)", bytes)
    #expect(try !bed.engine().verify(full.id.text).verified)
    try bed.change("UPDATE marker SET text = 'second'")
    return (bed, full)
  }

  private func verdict(_ bed: TestBed, _ id: PointID) throws -> BackupStatus {
    try bed.engine().point(id.text).metadata.status
  }

  @Test(
    "The verdict over a damaged full survives any error in a backup, and no incremental builds on it",
    arguments: [EACCES, EMFILE, EIO])
  func verdictSurvives(code: Int32) throws {
    let clean = StepFaults()
    let (probe, _) = try damagedFull()
    _ = try probe.engine(files: clean).store(CreateRequest(), kind: .incremental)
    let (bed, full) = try damagedFull()
    for step in clean.places(for: .error(code)) {
      let faults = StepFaults(failAt: step, .error(code))
      bed.time.advance(seconds: 1)
      let outcome = try? bed.engine(files: faults).store(CreateRequest(), kind: .incremental)
      if case .stored(let point, _)? = outcome { #expect(point.parentID != full.id, "\(faults.steps.suffix(3))") }
      #expect(try verdict(bed, full.id) == .failed, "\(faults.steps.suffix(3))")
    }
  }

  @Test(
    "A process without descriptors lists no backup at all, not even as missing or damaged",
    arguments: [true, false])
  func shortage(lasts: Bool) throws {
    let bed = try TestBed()
    let chain = try bed.makeChain(incrementals: 2)
    let clean = StepFaults()
    let expected = try bed.engine(files: clean).list().map(\.metadata)
    #expect(expected.count == chain.count)
    for step in clean.places(for: .error(EMFILE)) {
      let faults = StepFaults(failAt: step, .error(EMFILE, persistent: lasts))
      guard let listed = try? bed.engine(files: faults).list() else { continue }
      #expect(listed.map(\.metadata) == expected && listed.allSatisfy { !$0.isDamaged }, "\(faults.steps.last ?? "")")
    }
  }

  @Test("Metadata that this user may not read is kept as it is, and the backup stays restorable")
  func permission() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 60)
    let full = try bed.engine().create(CreateRequest())
    let files = UnreadablePath(suffix: ".metadata/\(full.id).json")
    let point = try bed.engine(files: files).point(full.id.text)
    #expect(point.hasUnreadableMetadata && !point.isDamaged && !point.needsRewrite)
    let before = try bed.folder.read("backups/.metadata/\(full.id).json")
    #expect(throws: HoldfastError.self) { try bed.engine(files: files).accept(full.id.text) }
    _ = try bed.engine(files: files).verify(full.id.text)
    #expect(try bed.folder.read("backups/.metadata/\(full.id).json") == before)
    try bed.change("UPDATE marker SET text = 'second'")
    let next = try bed.engine(files: files).create(CreateRequest())
    #expect(next.kind == .full)
  }

  @Test("A file in a folder that this user may not enter is not absent")
  func closedFolder() async {
    await #expect(processExitsWith: .success) {
      let bed = try TestBed()
      try bed.makeDatabase()
      chmod(bed.folder.path, 0)
      if geteuid() == 0 { #expect(setgroups(0, nil) == 0 && setegid(65534) == 0 && seteuid(65534) == 0) }
      let attempts: [() throws -> Void] = [
        { _ = try SystemFileOperations().status(bed.database) }, { _ = try bed.engine().list() },
      ]
      for attempt in attempts {
        let error = #expect(throws: HoldfastError.self, performing: attempt)
        #expect(error?.code == .permissionDenied)
      }
      if getuid() == 0 { #expect(seteuid(0) == 0 && setegid(0) == 0) }
      chmod(bed.folder.path, 0o700)
    }
  }
}

extension UnreadableTests {
  /// Commands on the other backups while one cannot be read.
  private func stopsAll(_ bed: TestBed, _ files: UnreadablePath, _ code: HoldfastError.Code) throws {
    let before = try SystemFileOperations().list(bed.backups).sorted()
    let engine = bed.engine(files: files)
    let attempts: [() throws -> Void] = [
      { _ = try engine.point("latest") }, { _ = try engine.verify("latest") },
      { _ = try engine.point(notAfter: bed.time.now(), zone: .utc) },
      { _ = try engine.planCleanup(RetentionPolicy(keepLast: 1)) },
      { _ = try engine.cleanup(RetentionPolicy(keepLast: 1)) },
      { _ = try engine.compact(CompactionPolicy()) },
    ]
    for (number, attempt) in attempts.enumerated() {
      let error = #expect(throws: HoldfastError.self, "\(number)", performing: attempt)
      #expect(error?.code == code && error?.hint != nil, "\(number): \(error?.message ?? "")")
    }
    #expect(try SystemFileOperations().list(bed.backups).sorted() == before)
  }

  @Test(
    "If the newest backup cannot be read, no older one is taken for it, and nothing is removed",
    arguments: [EACCES, EIO])
  func newest(code: Int32) throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    var points: [PointMetadata] = []
    for _ in 0..<3 {
      points.append(try bed.engine().create(CreateRequest()))
      bed.time.advance(seconds: 60)
    }
    let files = UnreadablePath(suffix: points[2].filename, code: code)
    try stopsAll(bed, files, code == EIO ? .ioError : .permissionDenied)
    let engine = bed.engine(files: files)
    // The older ones are available by their IDs and by their times, and another backup is stored.
    #expect(try engine.point(points[1].id.text).obstacleIsNone)
    #expect(try engine.point(notAfter: points[1].created, zone: .utc).point.id == points[1].id)
    #expect(try engine.list().first?.problems.first?.contains(points[2].filename) == true)
    try bed.change("UPDATE marker SET text = 'later'")
    let next = try engine.create(CreateRequest())
    #expect(try next.sequence == 4 && engine.point("latest").id == next.id)
    // Nor if its metadata is lost and its number is unknown.
    try SystemFileOperations().unlink("\(bed.backups)/\(next.filename)")
    try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(next.id).json")
    try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(points[2].id).json")
    #expect(throws: HoldfastError.self) { try engine.point("latest") }
  }

  @Test("If the full of a chain cannot be read, an older chain does not replace it")
  func full() throws {
    let bed = try TestBed()
    let older = try bed.makeChain(incrementals: 1)
    bed.time.advance(seconds: 60)
    let full = try bed.engine().create(CreateRequest())
    bed.time.advance(seconds: 60)
    try bed.change("UPDATE marker SET text = 'more'")
    guard case .stored(let link, _) = try bed.engine().store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    #expect(link.parentID == full.id)
    let files = UnreadablePath(suffix: full.filename)
    try stopsAll(bed, files, .permissionDenied)
    #expect(try bed.engine(files: files).verify(older[0].id.text).verified)
  }
}

extension StoredPoint {
  fileprivate var obstacleIsNone: Bool { !isDamaged && problems.isEmpty }
}

/// The real file system, in which one file may not be opened.
private final class UnreadablePath: FileOperations {
  private let base = UnflushedFileOperations()
  private let suffix: String
  private let code: Int32

  init(suffix: String, code: Int32 = EACCES) { (self.suffix, self.code) = (suffix, code) }

  func open(_ path: String, _ mode: OpenMode) throws -> OpenFile {
    if path.hasSuffix(suffix) { throw HoldfastError(errno: code, "open", path) }
    return try base.open(path, mode)
  }
  func read(_ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
    try base.read(file, into: buffer, at: offset)
  }
  func write(_ file: OpenFile, _ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    try base.write(file, bytes, at: offset)
  }
  func sync(_ file: OpenFile) throws { try base.sync(file) }
  func close(_ file: OpenFile) { base.close(file) }
  func size(_ file: OpenFile) throws -> Int64 { try base.size(file) }
  func lock(_ file: OpenFile, exclusive: Bool, wait: Bool) throws -> Bool {
    try base.lock(file, exclusive: exclusive, wait: wait)
  }
  func status(_ path: String) throws -> FileStatus? { try base.status(path) }
  func list(_ folder: String) throws -> [String] { try base.list(folder) }
  func makeFolder(_ path: String) throws { try base.makeFolder(path) }
  func rename(_ from: String, to: String) throws { try base.rename(from, to: to) }
  func renameNew(_ from: String, to: String) throws { try base.renameNew(from, to: to) }
  func unlink(_ path: String) throws { try base.unlink(path) }
  func syncFolder(_ path: String) throws { try base.syncFolder(path) }
  func setAttributes(_ file: OpenFile, _ attributes: FileAttributes) throws -> FileAttributes {
    try base.setAttributes(file, attributes)
  }
  func copyExtendedAttributes(of path: String, to file: OpenFile) throws -> [String] {
    try base.copyExtendedAttributes(of: path, to: file)
  }
  func freeSpace(_ folder: String) throws -> Int64 { try base.freeSpace(folder) }
  func capacity(_ folder: String) throws -> Int64 { try base.capacity(folder) }
}
