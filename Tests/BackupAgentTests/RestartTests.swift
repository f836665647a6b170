import BackupEngine
import BackupPolicy
import Glibc
import SQLitePages
import TestSupport
import Testing

@testable import BackupAgent

/// The agent's next process continues to follow the log from the position where the last one
/// stopped, and compares if any fact contradicts that position.
@Suite(.ownThread) struct RestartTests {
  /// A database in use, and the agent's code; a new process of it knows only the content of the
  /// repository.
  private final class World {
    let bed: TestBed
    let log = LogRecorder(.debug)
    private(set) var application: DatabaseApplication
    private var kept: KeptConnection
    private var backup: DatabaseWorker

    /// The database file has been quiet for long enough to show a later write; there is a log and
    /// one full.
    init() throws {
      bed = try TestBed()
      try bed.makeDatabase(rows: 2000, bytes: 300)
      application = try Self.open(bed)
      try application.run("UPDATE entries SET text = randomblob(100) WHERE id = 1")
      usleep(30000)
      kept = KeptConnection(bed.environment())
      backup = Self.agent(bed, log, kept)
      guard case .stored = try backup.storeChange(Progress()).ending.get() else {
        throw HoldfastError(.failed, "no full was stored")
      }
    }

    private static func open(_ bed: TestBed) throws -> DatabaseApplication {
      try DatabaseApplication(bed.database, "PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF")
    }

    private static func agent(_ bed: TestBed, _ log: LogRecorder, _ kept: KeptConnection) -> DatabaseWorker {
      DatabaseWorker(bed.engine(), AgentHarness.settings(), log.logger, kept)
    }

    func write(_ id: Int) throws { try application.run("UPDATE entries SET text = randomblob(100) WHERE id = \(id)") }

    /// The application closes the database and opens it again.
    func reopen() throws {
      kept.close()
      application.close()
      usleep(30000)
      application = try Self.open(bed)
    }

    /// The agent ends after it had time to save its state, and starts again.
    ///
    /// - Parameter change: a change to the files that it left in the repository.
    func restart(_ change: (inout AgentState) throws -> Void = { _ in }) throws {
      backup.saveState()
      let repository = try bed.engine().repository()
      if var memory = AgentState.load(repository) {
        try change(&memory)
        try memory.save(repository)
      }
      kept.close()
      kept = KeptConnection(bed.environment())
      backup = Self.agent(bed, log, kept)
      _ = try backup.assess()
    }

    func expect(_ words: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
      let found = try store()
      #expect(found == words, sourceLocation: sourceLocation)
    }

    /// Backs up, checks that the backup equals the database, and returns how the agent found the
    /// changed pages.
    func store() throws -> String {
      bed.time.advance(milliseconds: 1000)
      guard case .stored(let point) = try backup.storeChange(Progress()).ending.get() else {
        return "nothing was stored"
      }
      let image = try ChainImage(bed.engine(), point.id).bytes
      if let objection = try DatabaseTruth(application).objection(to: image) {
        throw BrokenChain(point: point.id, objection: objection)
      }
      return log.lines.last { $0.hasPrefix("debug: \(point.id): ") }?.split(separator: " ", maxSplits: 2).last.map {
        String($0)
      } ?? "a full"
    }
  }

  @Test func whatChangesAfterARestartIsFollowed() throws {
    let world = try World()
    try world.restart()
    for id in [100, 900, 1700] {
      try world.write(id)
      try world.expect("followed: same generation")
      try world.restart()
    }
    #expect(try world.bed.engine().list().map { $0.metadata.pagesStored ?? 0 < 4 } == [true, true, true, false])
  }

  /// No agent ran to see it.
  @Test func whatChangedWhileTheAgentWasDownIsFollowed() throws {
    let world = try World()
    try world.write(100)
    try world.restart()
    try world.expect("followed: same generation")
    try world.reopen()
    try world.restart()
    try world.expect("nothing was stored")
    try world.restart()
    try world.write(200)
    try world.expect("followed: untouched file")
  }

  /// Only a connection that stayed open can recognise this.
  @Test func aResetOfTheLogIsCompared() throws {
    let world = try World()
    try world.write(100)
    try world.expect("followed: same generation")
    try world.restart()
    try world.write(200)
    try world.application.run("PRAGMA wal_checkpoint(RESTART)")
    try world.write(300)
    try world.expect("compared: the write-ahead log was reset while this agent was not connected")
  }

  @Test func afterARebootItIsCompared() throws {
    let world = try World()
    try world.restart { $0.followed?.run.boot = "another" }
    try world.write(100)
    try world.expect("compared: the machine was restarted since it was tracked")
  }

  /// More than it takes to give a file the same times again. Less does no harm, because then the
  /// stamp would not have been settled.
  @Test(arguments: [(Int64(15), "compared: the clock was set back since it was tracked"), (-60000, nil)])
  func afterTheClockWasSetBackItIsCompared(by milliseconds: Int64, outcome: String?) throws {
    let world = try World()
    try world.restart { $0.followed?.run.clockOffset += milliseconds }
    try world.write(100)
    let found = try world.store()
    #expect(found == outcome ?? "followed: same generation")
  }

  /// In a repository that was copied or rolled back, the same ID may name another backup.
  @Test func aPointOfTheSameNameIsNotThePoint() throws {
    let world = try World()
    try world.restart { $0.followed?.digest = String(repeating: "0", count: 32) }
    try world.write(100)
    #expect(try world.store().hasSuffix("is not the tracked backup"))
  }

  /// The agent was killed between the archive and its saved state, or an older folder `.state` was
  /// put back.
  @Test func theMemoryOfAnOlderPointIsOfNoUse() throws {
    let world = try World()
    let repository = try world.bed.engine().repository()
    let old = try #require(AgentState.load(repository))
    try world.write(100)
    try world.expect("followed: same generation")
    try world.write(900)
    try world.restart { $0 = old }
    #expect(try world.store().hasPrefix("compared: "))
  }

  @Test func aCopyOfTheDatabaseInItsPlaceIsCompared() throws {
    let world = try World()
    try world.application.run("PRAGMA wal_checkpoint(TRUNCATE)")
    try world.restart()
    let copy = world.bed.folder.path("copy.db")
    guard try Shell.run("cp", [world.bed.database, copy]).status == 0 else { throw HoldfastError(.failed, "no copy") }
    try world.bed.environment().files.rename(copy, to: world.bed.database)
    try world.reopen()
    try world.write(100)
    try world.expect("compared: another file is at the database's path")
  }

  @Test(arguments: ["torn", "of another version", "of an older program", "nonsense"])
  func aMemoryThatIsNotOursIsNone(damage: String) throws {
    let world = try World()
    let path = world.bed.backups + "/.state/agent.json"
    var text = String(decoding: try #require(try world.bed.folder.read("backups/.state/agent.json")), as: UTF8.self)
    let old = try #require(AgentState.load(try world.bed.engine().repository())?.followed?.position.text)
    switch damage {
    case "torn": text = String(text.prefix(text.count / 2))
    case "of another version": text.replace(old, with: "2" + old.dropFirst())
    case "of an older program": text.replace("\"followed\"", with: "\"something\"")
    default: text.replace(old, with: old.split(separator: " ").dropLast(2).joined(separator: " ") + " -1 x")
    }
    try world.bed.environment().files.replace(path, with: Array(text.utf8), durable: false)
    try world.restart()
    try world.write(100)
    #expect(try world.store().hasPrefix("compared: "))
  }

  /// A backup costs no more flushes and system calls than before: everything is in one small file
  /// that is written anyway.
  @Test func theMemoryIsOneWrite() throws {
    let world = try World()
    let files = StepFaults()
    var memory = try #require(AgentState.load(try world.bed.engine().repository()))
    let counted = try world.bed.engine(files: files).repository()
    let opening = files.count
    try memory.save(counted)
    let saving = files.count - opening
    memory.followed = nil
    try memory.save(counted)
    #expect(files.count == opening + 2 * saving, "\(files.steps)")
    #expect(!files.steps.contains { $0.contains("sync") }, "\(files.steps)")
  }
}
