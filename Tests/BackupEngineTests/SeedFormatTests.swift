import BackupEngine
import BackupPolicy
import TestSupport
import Testing

/// A directory of the original Python service works without conversion.
@Suite("A directory of the original service", .ownThread)
struct SeedFormatTests {
  private func world() throws -> TestBed {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 500, journal: "delete")
    let result = try Python.run(
      file: "\(projectFolder)/Tests/Fixtures/seed_repository.py",
      arguments: [bed.database, bed.backups, TestBed.password, "--demo", "7"])
    guard result.status == 0 else { throw BrokenPromise(result.stderr) }
    bed.time.set(Timestamp(iso8601: "2030-01-01T00:00:00Z")!)
    return bed
  }

  @Test("Every form of an original backup is listed, verified and restored")
  func readable() throws {
    let bed = try world()
    let engine = bed.engine(.password)
    let points = try engine.list()
    #expect(points.count == 7)
    #expect(points.map(\.metadata.created) == points.map(\.metadata.created).sorted(by: >))
    for (index, point) in points.enumerated() {
      #expect(point.problems.isEmpty, "\(point.name.text): \(point.problems)")
      let verification = try engine.verify(point.id.text)
      #expect(verification.verified, "\(point.name.text): \(verification.errors)")
      let path = bed.folder.path("out-\(index).db")
      try restore(engine, point.id, to: path)
      #expect(try sameRows(bed.database, path), "\(point.name.text)")
      let recovered = bed.folder.path("recovered-\(index).db")
      let result = try recover(backupDir: bed.backups, id: point.id.text, to: recovered, password: TestBed.password)
      #expect(result.status == 0, "\(result.stderr)")
      #expect(try bed.folder.read("out-\(index).db") == bed.folder.read("recovered-\(index).db"))
    }
  }

  @Test("An original backup is restored in place, live")
  func inPlace() throws {
    let bed = try world()
    try bed.change("UPDATE marker SET text = 'second'")
    let engine = bed.engine(.password)
    let oldest = try #require(try engine.list().last)
    #expect(try restoreInPlace(engine, oldest.id).plan.install == .live)
    #expect(try bed.marker() == "first")
    #expect(try engine.list().first?.metadata.backupType == .safety)
    #expect(try engine.point("latest").metadata.backupType != .safety)
  }

  @Test("Original backups are deleted and cleaned up")
  func removable() throws {
    let bed = try world()
    let engine = bed.engine(.password)
    let second = try engine.list()[1]
    _ = try engine.delete(second.id.text)
    #expect(try engine.list().count == 6)
    #expect(try Shell.run("find", [bed.backups, "-name", "\(second.id)*"]).stdout == "")
    let decision = try engine.cleanup(RetentionPolicy(keepLast: 2))
    #expect(decision.refused == nil && !decision.remove.isEmpty)
    let left = try engine.list()
    #expect(left.count == decision.keep.count && left.count < 6)
    for point in left { #expect(try engine.verify(point.id.text).verified) }
  }

  @Test("A directory continues with authenticated points, and its old ones stay trusted")
  func continued() throws {
    let bed = try world()
    let engine = bed.engine(.password)
    let new = try engine.create(CreateRequest())
    #expect(try engine.point("latest").id == new.id)
    for point in try engine.list() {
      #expect(point.isAuthenticated, "\(point.problems)")
      #expect(try engine.verify(point.id.text).verified)
    }
  }
}
