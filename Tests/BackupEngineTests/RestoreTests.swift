import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

@Suite("Restore", .ownThread)
struct RestoreTests {
  /// A point with the marker "first", and the database with "second".
  private func world(journal: String = "wal") throws -> (bed: TestBed, point: PointID) {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 2000, bytes: 400, journal: journal)
    let point = try bed.engine().create(CreateRequest()).id
    bed.time.advance(seconds: 60)
    try bed.change("UPDATE marker SET text = 'second'; DELETE FROM entries WHERE id > 1000")
    return (bed, point)
  }

  @Test(
    "During a live restore an open writer and an open reader continue without reopening", arguments: ["wal", "delete"])
  func live(journal: String) throws {
    let (bed, point) = try world(journal: journal)
    let writer = try DatabaseConnection(path: bed.database, access: .writer)
    let reader = try DatabaseConnection(path: bed.database, access: .writer)
    #expect(try reader.text("SELECT text FROM marker") == "second")
    if journal == "wal" {
      // A reader in the middle of a transaction keeps its snapshot, and the restore does not wait for it.
      try reader.execute("BEGIN")
      #expect(try reader.integer("SELECT count(*) FROM entries") == 1000)
    }
    let before = try SystemFileOperations().status(bed.database)
    let outcome = try restoreInPlace(bed.engine(), point)
    #expect(outcome.plan.install == .live)
    #expect(try SystemFileOperations().status(bed.database)?.inode == before?.inode)
    if journal == "wal" {
      #expect(try reader.text("SELECT text FROM marker") == "second")
      try reader.execute("COMMIT")
    }
    #expect(try reader.text("SELECT text FROM marker") == "first")
    #expect(try reader.integer("SELECT count(*) FROM entries") == 2000)
    try writer.execute("INSERT INTO entries VALUES (5000, 'after')")
    #expect(try reader.integer("SELECT count(*) FROM entries") == 2001)
    #expect(try writer.text("PRAGMA journal_mode") == journal)
    #expect(try bed.integrity() == .passed)

    let safety = try #require(outcome.safetyBackupID)
    try restore(bed.engine(), safety, to: bed.folder.path("safety.db"))
    #expect(try bed.marker(at: bed.folder.path("safety.db")) == "second")
  }

  /// Of 247 bytes, because SQLite adds `-journal` to the name.
  @Test(
    "A database with the longest name that SQLite can open is restored in every way",
    arguments: [String(repeating: "n", count: 247), String(repeating: "é", count: 123)])
  func longName(_ name: String) throws {
    let bed = try TestBed()
    let path = bed.folder.path(name)
    try bed.makeDatabase(at: path, rows: 10)
    let point = try bed.engine(database: path).create(CreateRequest()).id
    bed.time.advance(seconds: 60)
    try bed.change("UPDATE marker SET text = 'second'", at: path)
    // An older version cut nothing, and was killed.
    let leftover = try bed.folder.write(".tmp-holdfast-\(name.prefix(100))-1-abc", [1])
    #expect(try restoreInPlace(bed.engine(database: path), point).plan.install == .live)
    #expect(try bed.marker(at: path) == "first")
    #expect(try SystemFileOperations().status(leftover) == nil)
    for (number, garbage) in [nil, [UInt8](repeating: 7, count: 5000)].enumerated() {
      bed.time.advance(seconds: 60)
      for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(path + suffix) }
      if let garbage {
        _ = try bed.folder.write(name, garbage)
        _ = try bed.folder.write(name + "-journal", garbage)
      }
      #expect(try restoreInPlace(bed.engine(database: path), point).plan.install == .replace, "\(number)")
      #expect(try bed.marker(at: path) == "first")
    }
    #expect(try SystemFileOperations().list(bed.folder.path).filter { $0.hasPrefix(".tmp-") } == [])
    let tooLong = bed.folder.path(String(repeating: "n", count: 248))
    let request = RestoreRequest(pointID: point, target: .newFile(path: tooLong))
    let error = #expect(throws: HoldfastError.self) { _ = try bed.engine(database: path).planRestore(request) }
    #expect(error?.code == .usage && error?.hint?.contains("--to") == true)
  }

  @Test(
    "Beside a writer that never stops, the safety backup contains the last commit before a live restore",
    arguments: ["wal", "delete"])
  func liveUnderWriters(journal: String) throws {
    let (bed, point) = try world(journal: journal)
    let script = """
      import os, sqlite3, sys, time
      c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20); n = 100000; end = time.time() + 300
      print("ready", flush=True)
      while not os.path.exists(sys.argv[2]) and time.time() < end:
        c.execute("insert into entries values(?, 'busy')", (n,)); n += 1; time.sleep(0.002)
      # One more, in the restored database.
      c.execute("insert into entries values(?, 'busy')", (n,))
      """
    let writer = try ProcessInBackground("python3", ["-c", script, bed.database, bed.folder.path("restored")])
    defer { writer.stop() }
    try writer.waitForLine("ready")
    let outcome = try Self.beyondBusy { try restoreInPlace(bed.engine(), point) }
    #expect(outcome.plan.install == .live)
    _ = try bed.folder.write("restored", [])
    let ended = writer.waitForEnd()
    #expect(ended == 0)
    #expect(try bed.marker() == "first")
    #expect(try bed.integrity() == .passed)
    try restore(bed.engine(), try #require(outcome.safetyBackupID), to: bed.folder.path("safety.db"))
    let live = try DatabaseConnection(path: bed.database, access: .observer)
    let safety = try DatabaseConnection(path: bed.folder.path("safety.db"), access: .observer)
    let firstAfter = try live.integer("SELECT min(id) FROM entries WHERE id >= 100000")
    let lastBefore = try safety.integer("SELECT max(id) FROM entries")
    // The writer counts: no commit is in neither, and none in both.
    #expect(try #require(lastBefore) + 1 == #require(firstAfter))
    #expect(try safety.text("SELECT text FROM marker") == "second")
  }

  /// Tries again after `busy`. The writer keeps its lock while it flushes, which takes longer than
  /// a restore waits (5 s) if a neighbour writes gigabytes to the same disk.
  private static func beyondBusy<Result>(_ body: () throws -> Result) throws -> Result {
    for _ in 0..<5 {
      do { return try body() } catch let error as HoldfastError where error.code == .busy {}
    }
    return try body()
  }

  @Test("If a transaction does not end, the restore reports busy and changes nothing")
  func busy() throws {
    let (bed, point) = try world()
    let application = try DatabaseConnection(path: bed.database, access: .writer)
    try application.execute("BEGIN IMMEDIATE; UPDATE marker SET text = 'third'")
    let error = #expect(throws: HoldfastError.self) { try restoreInPlace(bed.engine(), point) }
    #expect(error?.code.exitCode == 6 && error?.hint != nil, "\(String(describing: error))")
    try application.execute("COMMIT")
    #expect(try bed.marker() == "third")
    #expect(try Shell.run("find", [bed.folder.path, "-name", ".tmp-*"]).stdout == "")
  }

  @Test("An empty file is replaced, and its safety backup is empty")
  func intoEmptyFile() throws {
    let (bed, point) = try world()
    for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(bed.database + suffix) }
    try bed.folder.write("app.db", [])
    let outcome = try restoreInPlace(bed.engine(), point)
    #expect(outcome.plan.install == .replace)
    #expect(try bed.marker() == "first")
    let safety = try #require(outcome.safetyBackupID)
    #expect(try bed.engine().point(safety.text).metadata.originalSize == 0)
    #expect(try bed.engine().verify(safety.text).verified)
  }

  @Test("With another page size the file is replaced under SQLite's lock, or refused if it is open")
  func replace() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let point = try bed.engine().create(CreateRequest()).id
    for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(bed.database + suffix) }
    try bed.makeDatabase(pageSize: 8192, marker: "second")
    #expect(try Shell.run("chmod", ["640", bed.database]).status == 0)
    let application = try ProcessInBackground(
      "python3",
      [
        "-c",
        "import sqlite3,sys,time; c=sqlite3.connect(sys.argv[1]); c.execute('select * from marker').fetchall(); print('ready',flush=True); time.sleep(60)",
        bed.database,
      ])
    try application.waitForLine("ready")
    let error = #expect(throws: HoldfastError.self) { try restoreInPlace(bed.engine(), point) }
    #expect(error?.code.exitCode == 6, "\(String(describing: error))")
    #expect(error?.hint?.contains("python3") == true, "\(String(describing: error))")
    #expect(try bed.marker() == "second")
    application.stop()
    let outcome = try restoreInPlace(bed.engine(), point)
    #expect(outcome.plan.install == .replace)
    #expect(try bed.marker() == "first")
    #expect(try SystemFileOperations().status(bed.database)?.permissions == 0o640)
  }

  @Test("A commit between the safety backup and the lock stops a replacement", arguments: ["wal", "delete"])
  func replaceAfterCommit(journal: String) throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let point = try bed.engine().create(CreateRequest()).id
    for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(bed.database + suffix) }
    try bed.makeDatabase(journal: journal, pageSize: 8192, marker: "second")
    // The one rename that makes the safety backup visible is the moment for a commit.
    let files = UnflushedFileOperations { path in
      if path.hasSuffix(".db.gz.enc") {
        try? bed.change("INSERT INTO entries VALUES (9999, 'between')")
      }
    }
    let error = #expect(throws: HoldfastError.self) { try restoreInPlace(bed.engine(files: files), point) }
    #expect(error?.code == .factsChanged, "\(String(describing: error))")
    #expect(try bed.marker() == "second")
    #expect(try restoreInPlace(bed.engine(), point).plan.install == .replace)
    #expect(try bed.marker() == "first")
  }

  @Test("A file that is not a database is kept raw, byte for byte")
  func damaged() throws {
    let (bed, point) = try world(journal: "delete")
    var bytes = try bed.folder.read("app.db") ?? []
    for index in 0..<100 { bytes[index] = 0xa5 }
    _ = try bed.folder.write("app.db", bytes)
    let outcome = try restoreInPlace(bed.engine(), point)
    #expect(try bed.marker() == "first")
    let safety = try bed.engine().point(try #require(outcome.safetyBackupID).text)
    #expect(safety.name.content == .raw && safety.metadata.status == .suspect)
    #expect(try bed.engine().verify(safety.id.text).verified)
    let tar = bed.folder.path("damaged.tar")
    let result = try recover(backupDir: bed.backups, id: safety.id.text, to: tar, keyFile: bed.keyFile)
    #expect(result.status == 0, "\(result.stderr)")
    #expect(try Shell.run("tar", ["-xf", tar, "-C", bed.folder.path, "--transform", "s/^/saved-/"]).status == 0)
    #expect(try bed.folder.read("saved-app.db") == bytes)
  }

  @Test("A missing database is restored, and an old -wal beside it is not applied")
  func missing() throws {
    let (bed, point) = try world()
    let wal = try Python.run(
      script:
        "import sqlite3,sys,os; c=sqlite3.connect(sys.argv[1]); c.execute(\"update marker set text='third'\"); c.commit(); os._exit(0)",
      arguments: [bed.database])
    #expect(wal.status == 0)
    try SystemFileOperations().unlink(bed.database)
    let outcome = try restoreInPlace(bed.engine(), point)
    #expect(outcome.safetyBackupID == nil)
    #expect(try bed.marker() == "first")
    #expect(outcome.warnings.contains { $0.contains("app.db-wal") }, "\(outcome.warnings)")
  }

  @Test("Another text encoding is refused, with a way out")
  func encoding() throws {
    let (bed, point) = try world()
    for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(bed.database + suffix) }
    try bed.makeDatabase(encoding: "UTF-16le", marker: "second")
    let error = #expect(throws: HoldfastError.self) { try restoreInPlace(bed.engine(), point) }
    #expect(error?.code.exitCode == 8 && error?.hint?.contains("--to") == true)
    #expect(try bed.marker() == "second")
  }

  @Test("--to never overwrites a file, even if it appears meanwhile")
  func newFile() throws {
    let (bed, point) = try world()
    let path = bed.folder.path("out.db")
    let request = RestoreRequest(pointID: point, target: .newFile(path: path))
    guard case .plan(let plan) = try bed.engine().planRestore(request) else { throw BrokenPromise("no plan") }
    _ = try bed.folder.write("out.db", Array("mine".utf8))
    let error = #expect(throws: HoldfastError.self) { try bed.engine().restore(plan) }
    #expect(error?.code == .factsChanged && error?.code.exitCode == 6)
    #expect(try bed.folder.read("out.db") == Array("mine".utf8))
    guard case .refuse(let refusal) = try bed.engine().planRestore(request) else { throw BrokenPromise("not refused") }
    #expect(refusal.code.exitCode == 8)
  }

  @Test("Facts that changed since the plan stop the restore before anything is destroyed")
  func staleFacts() throws {
    let (bed, point) = try world()
    let request = RestoreRequest(pointID: point, target: .database(path: bed.database))
    guard case .plan(let plan) = try bed.engine().planRestore(request) else { throw BrokenPromise("no plan") }
    #expect(
      try Shell.run(
        "sh", ["-c", "cp '\(bed.database)' '\(bed.database).new' && mv '\(bed.database).new' '\(bed.database)'"]
      ).status == 0)
    let error = #expect(throws: HoldfastError.self) { try bed.engine().restore(plan) }
    #expect(error?.code == .factsChanged, "\(String(describing: error))")
    #expect(try bed.marker() == "second")
    // The journal is written after the facts were checked again.
    #expect(try bed.folder.read("backups/.metadata/restores.json") == nil)
  }

  @Test("A symbolic link stays one, and its target is restored")
  func symbolicLink() throws {
    let (bed, point) = try world()
    let link = bed.folder.path("link.db")
    #expect(try Shell.run("ln", ["-s", "app.db", link]).status == 0)
    _ = try restoreInPlace(bed.engine(database: link), point)
    #expect(try bed.marker() == "first")
    #expect(try Shell.run("readlink", [link]).stdout == "app.db\n")
  }
}
