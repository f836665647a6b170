import BackupEngine
import BackupPolicy
import TestSupport
import Testing

/// A cleanup of many backups is decided once, and changes by others meanwhile still count.
@Suite("A cleanup beside other commands", .ownThread)
struct RemovalRunTests {
  private let bed: TestBed
  private let points: [PointMetadata]

  /// Two chains of a full and two incrementals each.
  init() throws {
    bed = try TestBed()
    var points = try bed.makeChain(incrementals: 2, rows: 20)
    bed.time.advance(seconds: 60)
    points.append(try bed.engine().create(CreateRequest()))
    for step in 3...4 {
      try bed.change("UPDATE marker SET text = '\(step)'")
      points.append(try bed.storeIncremental())
    }
    self.points = points
  }

  /// - Parameter meanwhile: runs between the decision and the first removal.
  private func cleanUp(
    _ files: any FileOperations = UnflushedFileOperations(), meanwhile: @escaping @Sendable () -> Void
  )
    throws
  {
    _ = try bed.engine(files: files).cleanup(
      RetentionPolicy(keepLast: 1), progress: Progress(report: { _, _, _ in meanwhile() }))
  }

  private func left() throws -> [PointID] {
    for point in try bed.engine().list() { #expect(try bed.engine().verify(point.id.text).verified) }
    return try bed.engine().list().reversed().map(\.id)
  }

  @Test("Without other commands the old chain is removed")
  func alone() throws {
    try cleanUp {}
    #expect(try left() == points[3...].map(\.id))
  }

  @Test("A backup that was pinned meanwhile stays, with all backups that it needs")
  func pinned() throws {
    let (bed, id) = (bed, points[1].id)
    try cleanUp { _ = try? bed.engine().setPin(true, of: id.text) }
    #expect(try left() == points[...1].map(\.id) + points[3...].map(\.id))
  }

  @Test("If a verification found the newest chain damaged, the old one stays")
  func damaged() throws {
    let (bed, newest, old) = (bed, points[3], points[2])
    #expect(try bed.engine().verify(old.id.text).verified && bed.engine().verify(newest.id.text).verified)
    try cleanUp {
      // In the pages, which a listing does not read.
      guard var bytes = try? bed.folder.read("backups/\(newest.filename)") else { return }
      bytes[bytes.count - 500] ^= 1
      _ = try? bed.folder.write("backups/\(newest.filename)", bytes)
      _ = try? bed.engine().verify(newest.id.text)
    }
    #expect(try bed.engine().list().map(\.id).contains(old.id))
  }

  @Test("A backup that was stored meanwhile stops nothing")
  func stored() throws {
    let bed = bed
    try cleanUp {
      bed.time.advance(seconds: 60)
      _ = try? bed.engine().create(CreateRequest())
    }
    #expect(try left().count == 4)
  }

  @Test("The cost depends on the removed backups: the folder is listed a few times, not once for each")
  func cost() throws {
    for _ in 0..<30 {
      bed.time.advance(seconds: 60)
      _ = try bed.engine().create(CreateRequest())
    }
    let files = StepFaults()
    try cleanUp(files) {}
    #expect(try bed.engine().list().count == 1)
    #expect(files.steps.count { $0.contains(" list \(bed.backups)") } < 20, "\(files.steps)")
    // Each link of a chain is flushed before the links that it needs, the others all at once.
    #expect(files.steps.count { $0.hasSuffix(" syncFolder \(bed.backups)") } < 10)
  }
}
