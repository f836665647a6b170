import BackupEngine
import BackupPolicy
import Synchronization
import TestSupport
import Testing

/// Several databases and one folder of backups.
@Suite("A repository belongs to one database", .ownThread)
struct NeighbourTests {
  /// A folder with one backup of `app.db`, and `other.db` beside it.
  private func world() throws -> (bed: TestBed, app: PointMetadata, other: String) {
    let bed = try TestBed()
    try bed.makeDatabase(marker: "app")
    let app = try bed.engine().create(CreateRequest())
    let other = bed.folder.path("other.db")
    try bed.makeDatabase(at: other, marker: "other")
    bed.time.advance(seconds: 60)
    return (bed, app, other)
  }

  /// The same as an earlier version left it: with backups of both.
  private func mixedWorld() throws -> (bed: TestBed, app: PointMetadata, other: PointMetadata, path: String) {
    let (bed, app, path) = try world()
    let apart = bed.folder.path("apart")
    try SystemFileOperations().makeFolders("\(apart)/.state")
    _ = try bed.folder.write("apart/.state/repository.json", bed.folder.read("backups/.state/repository.json") ?? [])
    let engine = Engine(
      database: path, folder: apart, credentials: TestBed.credentials(.key), environment: bed.environment())
    let other = try engine.create(CreateRequest())
    for name in [other.filename, ".metadata/\(other.id).json"] {
      _ = try bed.folder.write("backups/\(name)", bed.folder.read("apart/\(name)") ?? [])
    }
    bed.time.advance(seconds: 60)
    return (bed, app, other, path)
  }

  private func refused(_ body: () throws -> Void) -> HoldfastError? {
    let error = #expect(throws: HoldfastError.self, performing: body)
    #expect(error?.code == .refused)
    return error
  }

  @Test("A second database is refused, full or incremental, and nothing is stored")
  func second() throws {
    let (bed, _, other) = try world()
    let before = try SystemFileOperations().list(bed.backups).sorted()
    for kind in [RequestedKind.full, .incremental] {
      let error = refused { _ = try bed.engine(database: other).store(CreateRequest(), kind: kind) }
      #expect(error?.hint?.contains("--backup-dir") == true && error?.message.contains(bed.database) == true)
    }
    #expect(try SystemFileOperations().list(bed.backups).sorted() == before)
  }

  @Test("A mistyped path shows, restores, removes and proves no backup of a neighbour")
  func mistyped() throws {
    let (bed, app, _) = try world()
    let engine = bed.engine(database: bed.folder.path("typo.db"))
    _ = refused { _ = try engine.list() }
    _ = refused { _ = try engine.point("latest") }
    _ = refused { _ = try engine.point(app.id.text) }
    _ = refused { _ = try engine.point(notAfter: bed.time.now(), zone: .utc) }
    _ = refused { _ = try engine.statistics() }
    _ = refused { _ = try engine.delete(app.id.text) }
    _ = refused { _ = try engine.cleanup(RetentionPolicy(keepLast: 1)) }
    _ = refused { _ = try engine.drillFigures() }
    _ = refused { try restore(engine, app.id, to: bed.folder.path("out.db")) }
    #expect(try bed.folder.read("out.db") == nil)
  }

  @Test("In a folder that is already mixed each database has its own backups")
  func mixed() throws {
    let (bed, app, other, path) = try mixedWorld()
    for (engine, mine, theirs) in [
      (bed.engine(), app, other), (bed.engine(database: path), other, app),
    ] {
      #expect(try engine.list().map(\.id) == [mine.id])
      #expect(try engine.point("latest").id == mine.id)
      #expect(try engine.point(notAfter: bed.time.now(), zone: .utc).point.id == mine.id)
      #expect(throws: HoldfastError.self) { try engine.point(theirs.id.text) }
      #expect(try engine.statistics().total == 1)
      var generator = SystemRandomNumberGenerator()
      #expect(try engine.randomPoint(using: &generator).id == mine.id)
    }
    // Names and numbers belong to the folder.
    let next = try bed.engine(database: path).create(CreateRequest())
    #expect(next.sequence == max(app.sequence ?? 0, other.sequence ?? 0) + 1)
    // Neither pins nor removals touch the neighbour.
    _ = try bed.engine().setPin(true, of: app.id.text)
    _ = try bed.engine(database: path).setPin(true, of: other.id.text)
    #expect(try bed.engine().point(app.id.text).metadata.pinned)
    bed.time.advance(seconds: 60)
    _ = try bed.engine(database: path).create(CreateRequest())
    _ = try bed.engine(database: path).cleanup(RetentionPolicy(keepLast: 1))
    #expect(try bed.engine().list().map(\.id) == [app.id])
  }

  @Test("An incremental of a mixed folder builds on its own database's newest point")
  func mixedChain() throws {
    let (bed, app, _, _) = try mixedWorld()
    try bed.change("UPDATE marker SET text = 'more'")
    guard case .stored(let point, _) = try bed.engine().store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    #expect(point.parentID == app.id)
  }

  @Test("If a database was moved, its backups continue, and its earlier backups stay its own")
  func moved() throws {
    let (bed, app, other) = try world()
    for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(other + suffix) }
    #expect(try Shell.run("mv", [bed.database, other]).status == 0)
    let engine = bed.engine(database: other)
    #expect(try engine.list().map(\.id) == [app.id])
    let next = try engine.create(CreateRequest())
    #expect(next.status == .completed && next.anomalies == [] && next.otherPaths == [bed.database])
    // Also if the metadata is lost, and if a new file has the old path.
    try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(next.id).json")
    try bed.makeDatabase(marker: "new")
    #expect(try engine.list().map(\.id) == [next.id, app.id])
    _ = refused { _ = try bed.engine().create(CreateRequest()) }
  }

  @Test("If the recorded path is gone and the content has nothing in common, it is another database")
  func strangerAfterRemoval() throws {
    let (bed, _, other) = try world()
    for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(bed.database + suffix) }
    try bed.change("DROP TABLE marker; DROP TABLE entries; CREATE TABLE jobs(a)", at: other)
    _ = refused { _ = try bed.engine(database: other).create(CreateRequest()) }
    _ = refused { _ = try bed.engine(database: other).list() }
  }

  @Test(
    "A tenant with the same tables never takes over the backups of one that is gone",
    arguments: ["t2.db", "tenant/app.db"])
  func tenants(name: String) throws {
    let (bed, app, _) = try world()
    let tenant = bed.folder.path(name)
    try SystemFileOperations().makeFolders(bed.folder.path("tenant"))
    // The rows differ, and an empty table looks alike.
    try bed.change("CREATE TABLE empty(a); UPDATE entries SET text = text || ' of the first'", at: bed.database)
    bed.time.advance(seconds: 60)
    let newest = try bed.engine().create(CreateRequest())
    #expect(try Shell.run("cp", [bed.database, tenant]).status == 0)
    try bed.change("UPDATE entries SET text = 'of the second ' || text; UPDATE marker SET text = 'second'", at: tenant)
    let away = bed.folder.path("away.db")
    #expect(try Shell.run("mv", [bed.database, away]).status == 0)
    let error = refused { _ = try bed.engine(database: tenant).create(CreateRequest()) }
    #expect(error?.message.contains("is gone") == true, "\(String(describing: error))")
    #expect(error?.hint?.contains("holdfast create --database \(bed.database) --backup-dir \(bed.backups)") == true)
    if name == "t2.db" { _ = refused { _ = try bed.engine(database: tenant).list() } }
    // The first one is back, and a copy of it that goes on elsewhere is the same database.
    #expect(try Shell.run("mv", [away, bed.database]).status == 0)
    #expect(try bed.engine().list().map(\.id) == [newest.id, app.id])
    try bed.change("INSERT INTO entries(text) VALUES ('one more')", at: bed.database)
    let moved = bed.folder.path("moved.db")
    #expect(try Shell.run("cp", [bed.database, moved]).status == 0)
    #expect(try Shell.run("mv", [bed.database, away]).status == 0)
    bed.time.advance(seconds: 60)
    #expect(try bed.engine(database: moved).create(CreateRequest()).otherPaths == [bed.database])
  }

  /// A database whose pages are mostly those of its template, with one backup as it was copied and
  /// one with rows of its own; and the template.
  private func templateWorld() throws -> (bed: TestBed, template: String) {
    let bed = try TestBed()
    let template = bed.folder.path("template.db")
    try bed.makeDatabase(at: template, rows: 1000, journal: "delete")
    #expect(try Shell.run("cp", [template, bed.database]).status == 0)
    _ = try bed.engine().create(CreateRequest())
    try bed.change("UPDATE entries SET text = 'of the first' WHERE id BETWEEN 400 AND 500")
    bed.time.advance(seconds: 60)
    _ = try bed.engine().create(CreateRequest())
    bed.time.advance(seconds: 60)
    return (bed, template)
  }

  @Test("A tenant of the same template never takes over the backups of one that is gone")
  func templates() throws {
    let (bed, template) = try templateWorld()
    let tenant = bed.folder.path("t2.db")
    #expect(try Shell.run("cp", [template, tenant]).status == 0)
    try bed.change("UPDATE entries SET text = 'of the second' WHERE id BETWEEN 600 AND 700", at: tenant)
    #expect(try Shell.run("mv", [bed.database, bed.folder.path("away.db")]).status == 0)
    for kind in [RequestedKind.full, .incremental] {
      _ = refused { _ = try bed.engine(database: tenant).store(CreateRequest(), kind: kind) }
    }
  }

  @Test("A moved database with few changes is recognised beside its template")
  func movedFromTemplate() throws {
    let (bed, _) = try templateWorld()
    let moved = bed.folder.path("moved.db")
    #expect(try Shell.run("cp", [bed.database, moved]).status == 0)
    try bed.change("UPDATE entries SET text = 'later' WHERE id BETWEEN 490 AND 600", at: moved)
    #expect(try Shell.run("mv", [bed.database, bed.folder.path("away.db")]).status == 0)
    #expect(try bed.engine(database: moved).create(CreateRequest()).otherPaths == [bed.database])
  }

  @Test("A stop interrupts the comparison of a moved database with its backups")
  func stoppedComparison() throws {
    let (bed, _) = try templateWorld()
    let moved = bed.folder.path("moved.db")
    #expect(try Shell.run("cp", [bed.database, moved]).status == 0)
    #expect(try Shell.run("mv", [bed.database, bed.folder.path("away.db")]).status == 0)
    for kind in [RequestedKind.full, .incremental] {
      // The comparison is the first activity that reports its progress.
      let reports = Mutex<[String]>([])
      let box = Mutex<Progress?>(nil)
      let progress = Progress { activity, _, _ in
        reports.withLock { $0.append(activity) }
        box.withLock { $0 }?.stop()
      }
      box.withLock { $0 = progress }
      let error = #expect(throws: HoldfastError.self) {
        _ = try bed.engine(database: moved).store(CreateRequest(), kind: kind, progress: progress)
      }
      #expect(error?.code == .interrupted && reports.withLock(\.self) == ["comparing"])
    }
  }

  @Test(
    "On a new machine with another path and host, the folder and the key suffice",
    arguments: [false, true])
  func newMachine(applicationWasFaster: Bool) throws {
    let (bed, app, _) = try world()
    for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(bed.database + suffix) }
    let new = bed.folder.path("home/new/app.db")
    try SystemFileOperations().makeFolders(new.parentPath)
    if applicationWasFaster { try bed.makeDatabase(at: new, rows: 1, marker: "fresh") }
    var environment = bed.environment()
    (environment.host, environment.stateFolder) = ("new-host", bed.folder.path("new-state"))
    let engine = Engine(
      database: new, folder: bed.backups, credentials: TestBed.credentials(.key), environment: environment)
    #expect(try engine.point("latest").id == app.id)
    // Nothing proves that the fresh database continues the old one, until it is replaced.
    if applicationWasFaster { _ = refused { _ = try engine.create(CreateRequest()) } }
    let outcome = try restoreInPlace(engine, app.id)
    #expect((outcome.safetyBackupID != nil) == applicationWasFaster)
    #expect(try bed.marker(at: new) == "app")
    #expect(try engine.create(CreateRequest()).otherPaths == [bed.database])
  }

  @Test("A database that people call by one name is one database, through links and names")
  func links() throws {
    let (bed, app, other) = try world()
    let link = bed.folder.path("link.db")
    #expect(try Shell.run("ln", ["-s", bed.database, link]).status == 0)
    #expect(try bed.engine(database: link).list().map(\.id) == [app.id])
    let byLink = try bed.engine(database: link).create(CreateRequest())
    #expect(byLink.databasePath == bed.database && byLink.otherPaths == [link])
    // A second hard link is the same file.
    #expect(try Shell.run("ln", [bed.database, bed.folder.path("hard.db")]).status == 0)
    #expect(try bed.engine(database: bed.folder.path("hard.db")).list().count == 2)
    // The link leads to another file from now on, as with releases.
    #expect(try Shell.run("ln", ["-sfn", other, link]).status == 0)
    bed.time.advance(seconds: 60)
    #expect(try bed.engine(database: link).create(CreateRequest()).databasePath == other)
  }

  @Test("If the database is gone, an absent, empty or damaged other path shows no backup of it")
  func strangerBesideNothing() throws {
    let (bed, app, other) = try world()
    for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(bed.database + suffix) }
    for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(other + suffix) }
    let contents: [[UInt8]?] = [nil, [], Array("no database at all, but the file of something else".utf8)]
    for content in contents {
      if let content { _ = try bed.folder.write("other.db", content) }
      let engine = bed.engine(database: other)
      _ = refused { _ = try engine.list() }
      _ = refused { _ = try engine.point("latest") }
      let error = refused { _ = try restoreInPlace(engine, app.id) }
      #expect(error?.hint?.contains("--database \(bed.database)") == true)
      #expect(try bed.folder.read("other.db") == content)
    }
    // The command of the hint.
    try SystemFileOperations().unlink(other)
    try restore(bed.engine(), app.id, to: other)
    #expect(try bed.marker(at: other) == "app")
  }

  @Test("The plan of a restore under another path names the database that was backed up")
  func movedPlan() throws {
    let (bed, app, _) = try world()
    for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(bed.database + suffix) }
    let new = bed.folder.path("home/app.db")
    try SystemFileOperations().makeFolders(bed.folder.path("home"))
    let decision = try bed.engine(database: new).planRestore(
      RestoreRequest(pointID: app.id, target: .database(path: new)))
    guard case .plan(let plan) = decision else { throw BrokenPromise("no plan") }
    #expect(plan.warnings.contains { $0.contains("is a backup of \(bed.database)") }, "\(plan.warnings)")
  }

  @Test(
    "If a database is absent for a moment, neither an empty file nor one shared table proves a move",
    arguments: [false, true])
  func absence(isEmpty: Bool) throws {
    let (bed, app, other) = try world()
    let away = bed.folder.path("away.db")
    #expect(try Shell.run("mv", [bed.database, away]).status == 0)
    for suffix in ["-wal", "-shm"] { try SystemFileOperations().unlink(bed.database + suffix) }
    try bed.change("DROP TABLE marker" + (isEmpty ? "; DROP TABLE entries" : ""), at: other)
    _ = refused { _ = try bed.engine(database: other).create(CreateRequest()) }
    #expect(try Shell.run("mv", [away, bed.database]).status == 0)
    #expect(try bed.engine().create(CreateRequest()).otherPaths == [])
    #expect(try bed.engine().list().last?.id == app.id)
  }

  @Test("A copy that continued while the database was away does not hide its backups, and the clash is reported")
  func displaced() throws {
    let (bed, app, _) = try world()
    let (away, copy) = (bed.folder.path("away.db"), bed.folder.path("copy.db"))
    for suffix in ["-wal", "-shm"] { try SystemFileOperations().unlink(bed.database + suffix) }
    #expect(try Shell.run("cp", [bed.database, copy]).status == 0)
    #expect(try Shell.run("mv", [bed.database, away]).status == 0)
    let taken = try bed.engine(database: copy).create(CreateRequest())
    #expect(try Shell.run("mv", [away, bed.database]).status == 0)
    bed.time.advance(seconds: 60)
    #expect(try bed.engine().list().map(\.id) == [taken.id, app.id])
    let error = refused { _ = try bed.engine().create(CreateRequest()) }
    #expect(error?.message.contains(copy) == true && error?.hint?.contains("--backup-dir") == true)
    try SystemFileOperations().unlink(copy)
    #expect(try bed.engine().create(CreateRequest()).databasePath == bed.database)
  }

  @Test("Two names that Unicode considers equal are two databases")
  func spellings() throws {
    let bed = try TestBed()
    let (composed, decomposed) = (bed.folder.path("caf\u{e9}.db"), bed.folder.path("cafe\u{301}.db"))
    try bed.makeDatabase(at: composed, marker: "composed")
    try bed.makeDatabase(at: decomposed, marker: "decomposed")
    let point = try bed.engine(database: composed).create(CreateRequest())
    bed.time.advance(seconds: 60)
    let engine = bed.engine(database: decomposed)
    _ = refused { _ = try engine.create(CreateRequest()) }
    _ = refused { _ = try engine.list() }
    _ = refused { _ = try restoreInPlace(engine, point.id) }
    #expect(try bed.marker(at: decomposed) == "decomposed")
    #expect(try bed.engine(database: composed).list().map(\.id) == [point.id])
  }

  @Test("A directory of the original service, without paths, belongs to the database")
  func legacy() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    var plain = CreateRequest()
    plain.archive.encrypt = false
    let point = try bed.engine(.none).create(plain)
    let path = "backups/.metadata/\(point.id).json"
    guard case .object(var keys) = JSONValue(parsing: try bed.folder.read(path) ?? []) else {
      throw BrokenPromise("no metadata")
    }
    keys["database_path"] = nil
    _ = try bed.folder.write(path, JSONValue.object(keys).encoded())
    let engine = bed.engine(.none, database: bed.folder.path("elsewhere.db"))
    #expect(try engine.list().map(\.id) == [point.id])
    bed.time.advance(seconds: 60)
    _ = try bed.engine(.none).create(plain)
    #expect(try bed.engine(.none).list().count == 2)
    _ = refused { _ = try engine.list() }
  }
}
