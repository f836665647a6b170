import BackupEngine
import BackupPolicy
import TestSupport
import Testing

/// A chain whose links are missing, damaged, exchanged or reordered: exactly the points behind the
/// link are lost, and this is reported.
@Suite("A broken chain", .ownThread)
struct ChainTamperTests {
  private func code(_ bed: TestBed, _ id: PointID, _ secret: TestBed.Secret) -> HoldfastError.Code? {
    do {
      _ = try bed.restored(id, secret)
      return nil
    } catch {
      return (error as? HoldfastError)?.code ?? .failed
    }
  }

  /// Restore, verify, list and recover.py all agree about every point.
  private func require(
    _ bed: TestBed, _ points: [PointMetadata], whole: Set<Int>, link: Int, _ secret: TestBed.Secret, listed: Bool = true
  ) throws {
    let engine = bed.engine(secret)
    let problems = Dictionary(uniqueKeysWithValues: try engine.list().map { ($0.id, $0) })
    for (index, point) in points.enumerated() where index != link {
      let verification = try engine.verify(point.id.text)
      #expect(verification.verified == whole.contains(index), "\(index): \(verification.checks)")
      let failure = code(bed, point.id, secret)
      #expect((failure == nil) == whole.contains(index), "\(index): \(String(describing: failure))")
      #expect((try? bed.recovered(point.id)) != nil || !whole.contains(index), "\(index)")
      guard !whole.contains(index) else { continue }
      #expect(failure?.exitCode == 3 || failure?.exitCode == 8, "\(index): \(String(describing: failure))")
      let chain = verification.checks.first { $0.name == Check.Name.chain }
      #expect(
        chain?.outcome == .failed && chain?.detail?.contains(points[link].id.text) == true, "\(verification.checks)")
      #expect((try? bed.recovered(point.id)) == nil, "recover.py restored \(index)")
      guard listed, let found = problems[point.id] else { continue }
      #expect(found.metadata.status == .failed, "\(index)")
      #expect(found.problems.contains { $0.contains(points[link].id.text) }, "\(found.problems)")
      guard let newest = whole.max().map({ points[$0].id.text }) else { continue }
      #expect(found.problems.contains { $0.contains("newest usable backup is \(newest)") }, "\(found.problems)")
    }
  }

  @Test("A missing link loses exactly the points behind it", arguments: [TestBed.Secret.key, .none], [1, 2])
  func missing(_ secret: TestBed.Secret, link: Int) throws {
    let bed = try TestBed()
    let points = try bed.makeChain(secret, request(secret), incrementals: 3)
    try SystemFileOperations().unlink(bed.archivePath(points[link]))
    try require(bed, points, whole: Set(0..<link), link: link, secret)
    // The next incremental does not build on the lost points.
    try bed.change("UPDATE marker SET text = 'after'")
    bed.time.advance(milliseconds: 1000)
    guard case .stored(let next, let reason) = try bed.engine(secret).store(request(secret), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    #expect(next.kind == .full && reason.contains(points[link].id.text), "\(reason)")
  }

  @Test(
    "A link with damage in its payload, head or end loses exactly the points behind it",
    arguments: [TestBed.Secret.key, .none], [0.02, 0.5, 0.99])
  func damaged(_ secret: TestBed.Secret, at place: Double) throws {
    let bed = try TestBed()
    let points = try bed.makeChain(secret, request(secret), incrementals: 3)
    let path = "backups/\(points[2].filename)"
    var bytes = try bed.folder.read(path) ?? []
    bytes[Int(Double(bytes.count) * place)] ^= 16
    _ = try bed.folder.write(path, bytes)
    try require(bed, points, whole: [0, 1], link: 2, secret, listed: false)
    // After a verification found it, the list also reports it.
    #expect(try !bed.engine(secret).verify(points[2].id.text).verified)
    try require(bed, points, whole: [0, 1], link: 2, secret)
  }

  @Test(
    "A parent replaced by an older file of the same name loses the points behind it",
    arguments: [TestBed.Secret.key, .none], [0, 1])
  func replaced(_ secret: TestBed.Secret, link: Int) throws {
    let bed = try TestBed()
    let points = try bed.makeChain(secret, request(secret), incrementals: link + 2)
    let copy = RepositoryCopy(bed)
    try copy.save()
    // The same repository, taken back to before that point, then another history under the same names.
    for point in points[link...] {
      try SystemFileOperations().unlink(bed.archivePath(point))
      try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(point.id).json")
    }
    _ = try Shell.run("rm", ["-r", bed.stateFolder])
    try bed.change("UPDATE marker SET text = 'another history'; DELETE FROM entries WHERE id > 30")
    bed.time.set(points[link].created.adding(seconds: link == 0 ? 0 : -1))
    let other =
      try link == 0 ? bed.engine(secret).create(request(secret)) : bed.storeIncremental(secret, request(secret))
    #expect(other.id == points[link].id)
    let bytes = try bed.folder.read("backups/\(other.filename)") ?? []
    let record = try bed.folder.read("backups/.metadata/\(other.id).json") ?? []
    try copy.putBack()
    _ = try bed.folder.write("backups/\(other.filename)", bytes)
    _ = try bed.folder.write("backups/.metadata/\(other.id).json", record)
    // No incremental is built behind it either.
    bed.time.advance(seconds: 60)
    guard case .stored(let next, let reason) = try bed.engine(secret).store(request(secret), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    #expect(next.kind == .full && reason.contains(points[link].id.text), "\(reason)")
    try require(bed, points, whole: Set(0..<link).union([link]), link: link, secret, listed: false)
  }

  @Test(
    "A parent of another repository under the same key or password loses the points behind it",
    arguments: [TestBed.Secret.key, .password])
  func otherRepository(_ secret: TestBed.Secret) throws {
    let (bed, stranger) = (try TestBed(), try TestBed())
    let points = try bed.makeChain(secret, incrementals: 2)
    let others = try stranger.makeChain(secret, incrementals: 2)
    #expect(points.map(\.id) == others.map(\.id))
    for link in 0...1 {
      let own = try bed.folder.read("backups/\(points[link].filename)") ?? []
      _ = try bed.folder.write(
        "backups/\(points[link].filename)", try stranger.folder.read("backups/\(others[link].filename)") ?? [])
      try require(bed, points, whole: Set(0..<link), link: link, secret)
      let error = #expect(throws: HoldfastError.self) { try bed.restored(points[link].id, secret) }
      #expect(error?.code == .unauthenticated || error?.code == .verificationFailed, "\(String(describing: error))")
      _ = try bed.folder.write("backups/\(points[link].filename)", own)
    }
    try require(bed, points, whole: [0, 1, 2], link: -1, secret)
  }

  @Test("Two exchanged links lose the points behind them")
  func reordered() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 3)
    let (one, two) = ("backups/\(points[1].filename)", "backups/\(points[2].filename)")
    let (first, second) = (try bed.folder.read(one) ?? [], try bed.folder.read(two) ?? [])
    _ = try bed.folder.write(one, second)
    _ = try bed.folder.write(two, first)
    for id in points.dropFirst().map(\.id) { #expect(code(bed, id, .key)?.exitCode == 3) }
    #expect(code(bed, points[0].id, .key) == nil)
  }

  @Test(
    "A bit flipped anywhere in an incremental is found without its metadata", arguments: [TestBed.Secret.key, .none])
  func flippedBits(_ secret: TestBed.Secret) throws {
    let bed = try TestBed()
    let points = try bed.makeChain(secret, request(secret), incrementals: 1, rows: 30)
    let path = "backups/\(points[1].filename)"
    let bytes = try bed.folder.read(path) ?? []
    let image = try bed.restored(points[1].id, secret)
    for offset in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 60)) {
      var changed = bytes
      changed[offset] ^= 1 << UInt8(offset % 8)
      _ = try bed.folder.write(path, changed)
      try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(points[1].id).json")
      // A plain archive may change in bytes that are not read (a time in a gzip header), but never
      // in restored content.
      guard let found = code(bed, points[1].id, secret) else {
        #expect(secret == .none, "offset \(offset)")
        #expect(try bed.restored(points[1].id, secret) == image, "offset \(offset)")
        continue
      }
      #expect([3, 5, 8].contains(found.exitCode), "offset \(offset): \(found)")
    }
  }

  private func request(_ secret: TestBed.Secret) -> CreateRequest {
    var request = CreateRequest()
    request.archive.encrypt = secret != .none
    return request
  }
}

/// A repository and its host's state, put aside and put back.
private struct RepositoryCopy {
  let bed: TestBed
  init(_ bed: TestBed) { self.bed = bed }

  func save() throws {
    for folder in [bed.backups, bed.stateFolder] { try run("cp", ["-a", folder, folder + ".saved"]) }
  }

  func putBack() throws {
    for folder in [bed.backups, bed.stateFolder] {
      try run("rm", ["-rf", folder])
      try run("mv", [folder + ".saved", folder])
    }
  }

  private func run(_ program: String, _ arguments: [String]) throws {
    let result = try Shell.run(program, arguments)
    guard result.status == 0 else { throw BrokenPromise(result.stderr) }
  }
}
