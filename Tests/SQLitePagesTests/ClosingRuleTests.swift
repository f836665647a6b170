import SQLitePages
import Testing

/// Tests every condition by itself: each of these cases differs in one or two facts from one in
/// which the log may be checkpointed.
@Suite("Closing rule")
struct ClosingRuleTests {
  typealias Change = (inout ClosingFacts) -> Void

  private static let files = DatabaseFiles(
    database: FileIdentity(device: 1, inode: 2), wal: FileIdentity(device: 1, inode: 3),
    sharedMemory: FileIdentity(device: 1, inode: 4))

  private static func file(size: Int64 = 8192, at time: Int64) -> FileFacts? {
    guard var facts = FileFacts(path: "/") else { return nil }
    facts.size = size
    facts.modified = time
    facts.changed = time
    return facts
  }

  /// The application committed ten frames after its last write to the database, and a checkpoint
  /// copied none of them.
  private static func abandoned(_ facts: inout ClosingFacts) {
    facts.log = ClosingFacts.Log(changeCount: 3, maxFrame: 10, backfilled: 0, attempted: 0, salts: 7)
    facts.frames = 10
    facts.databaseNow = file(at: 1000)
    facts.walNow = file(size: 41_232, at: 2000)
    facts.opening = OpeningFacts(database: facts.databaseNow, isSettled: true, salts: 7, backfilled: 0)
    facts.now = 3000
  }

  /// A log that only our opening made.
  private static func own(_ facts: inout ClosingFacts) {
    abandoned(&facts)
    facts.openingCreatedWAL = true
    facts.log = ClosingFacts.Log(changeCount: 0, maxFrame: 0, backfilled: 0, attempted: 0, salts: 0)
    facts.frames = 0
    facts.walNow = file(size: 0, at: 2000)
  }

  /// Six of the frames are in the database file, which was written after the log.
  private static func partlyCopied(_ facts: inout ClosingFacts) {
    abandoned(&facts)
    facts.log?.backfilled = 6
    facts.log?.attempted = 6
    facts.databaseNow = file(at: 2001)
    facts.checkpointedPages = .equal
  }

  /// Database and log were last written within one tick of the clock.
  private static func sameTick(_ facts: inout ClosingFacts) {
    abandoned(&facts)
    facts.databaseNow = file(at: 2000)
    facts.opening?.database = facts.databaseNow
  }

  private static func facts(_ base: Change, _ change: Change) -> ClosingFacts {
    var facts = ClosingFacts(path: "/app.db", filesAtOpen: files, filesNow: files)
    base(&facts)
    change(&facts)
    return facts
  }

  private func expect(
    _ base: Change, folds: Bool, warns: Bool = false, at location: SourceLocation = #_sourceLocation,
    _ change: Change = { _ in }
  ) {
    let rule = ClosingRule.decide(Self.facts(base, change))
    #expect(rule.mayCheckpoint == folds, "\(rule.reason)", sourceLocation: location)
    #expect((rule.warning != nil) == warns, "\(rule.reason)", sourceLocation: location)
    #expect((rule.hint != nil) == warns && !rule.reason.isEmpty, sourceLocation: location)
  }

  @Test("An empty log may be removed if it exists through us alone")
  func emptyLog() {
    expect(Self.own, folds: true)
    expect(Self.own, folds: true) { ($0.openingCreatedWAL, $0.emptiedWAL) = (false, true) }
    expect(Self.own, folds: false) { $0.openingCreatedWAL = false }
    expect(Self.own, folds: false) { $0.frames = 1 }
    expect(Self.own, folds: false) { ($0.frames, $0.log) = (nil, nil) }
    // If another program copied a log into the empty file, it is not ours, whatever the index
    // counts.
    expect(Self.own, folds: false) { $0.walNow?.size = 4152 }
    expect(Self.own, folds: false) { $0.filesNow.database = nil }
  }

  @Test("A log that an application left beside us may be removed if every condition holds")
  func applicationsLog() {
    expect(Self.abandoned, folds: true)
    expect(Self.abandoned, folds: false) { $0.log = nil }
    expect(Self.abandoned, folds: false) { $0.isReadOnly = true }
    expect(Self.abandoned, folds: false) { $0.log?.changeCount = 0 }
    expect(Self.abandoned, folds: false) { $0.log?.fileMatches = false }
    expect(Self.abandoned, folds: false) { $0.log?.hasUnpublishedCommit = true }
    expect(Self.abandoned, folds: false) { $0.filesNow.wal = FileIdentity(device: 1, inode: 9) }
    expect(Self.abandoned, folds: false) { $0.filesNow.sharedMemory = FileIdentity(device: 1, inode: 9) }
    expect(Self.abandoned, folds: false) { $0.databaseNow = nil }
    // A stamp in the future: the clock was set back.
    expect(Self.abandoned, folds: false) { $0.now = 1999 }
  }

  @Test("A log stays if a process has it open, and in doubt")
  func holders() {
    let process = LogUsers(processes: [OtherProcess(id: 7, name: "app")], doubt: "hidden")
    expect(Self.abandoned, folds: false) { $0.holders = process }
    expect(Self.own, folds: false) { $0.holders = process }
    func hidden(_ hidden: HiddenUsers) -> LogUsers { LogUsers(doubt: "hidden", hidden: hidden) }
    for base in [Self.abandoned, Self.own] { expect(base, folds: false) { $0.holders = hidden(.some) } }
    expect(Self.abandoned, folds: false) { $0.holders = hidden(.unknown) }
    expect(Self.abandoned, folds: true) { $0.holders = hidden(.none) }
    #expect(ClosingRule.decide(Self.facts(Self.abandoned) { $0.holders = hidden(.none) }).keepsFiles)
    #expect(!ClosingRule.decide(Self.facts(Self.abandoned) { $0.holders = LogUsers() }).keepsFiles)
    // Our opening made the log, and it is still empty: no other process can have used it before it
    // lost its locks.
    for answer in [HiddenUsers.none, .unknown] {
      expect(Self.own, folds: true) { $0.holders = hidden(answer) }
      #expect(!ClosingRule.decide(Self.facts(Self.own) { $0.holders = hidden(answer) }).keepsFiles)
    }
    expect(Self.abandoned, folds: false) {
      $0.holders = LogUsers()
      $0.log?.changeCount = 0
    }
  }

  @Test("A log that is already in the database file is removed, because it can only do harm")
  func nothingLeft() {
    func copied(_ facts: inout ClosingFacts) {
      Self.abandoned(&facts)
      facts.log?.backfilled = 10
      facts.databaseNow = Self.file(size: 1, at: 2500)
    }
    expect(copied, folds: true)
    expect(copied, folds: false) { $0.log?.fileMatches = false }
    expect(copied, folds: false) { $0.log?.changeCount = 0 }
  }

  @Test("A write to the database after the log's last write raises an alarm")
  func overwritten() throws {
    let rule = ClosingRule.decide(Self.facts(Self.abandoned) { $0.databaseNow = Self.file(at: 2001) })
    #expect(!rule.mayCheckpoint)
    #expect(rule.warning?.hasPrefix("/app.db was overwritten while its write-ahead log was in use") == true)
    #expect(rule.hint?.contains("/app.db-wal") == true)
  }

  @Test("A write to the database before the log's last write, but after we opened, raises an alarm")
  func overwrittenBefore() {
    expect(Self.abandoned, folds: false, warns: true) { $0.opening?.database?.modified = 900 }
    expect(Self.abandoned, folds: false, warns: true) { $0.opening?.database?.size = 4096 }
    // If the log has a new generation, the checkpoint in between explains the write.
    expect(Self.abandoned, folds: true) {
      $0.opening?.database?.modified = 900
      $0.opening?.salts = 6
    }
  }

  @Test("A chmod or a broken-off checkpoint raises no alarm but leaves the log in place")
  func noFalseAlarm() {
    expect(Self.abandoned, folds: false) { $0.databaseNow?.changed = 2500 }
    expect(Self.abandoned, folds: false) {
      $0.log?.attempted = 5
      $0.databaseNow = Self.file(at: 2500)
    }
    // The clock was set back after the checkpoint that ended the previous generation.
    expect(Self.abandoned, folds: false) {
      $0.databaseNow = Self.file(at: 9000)
      $0.opening?.database = $0.databaseNow
    }
  }

  @Test("Within one tick the file counts as unwritten only if it was settled when we opened")
  func withinOneTick() {
    expect(Self.sameTick, folds: true)
    expect(Self.sameTick, folds: false) { $0.opening?.isSettled = false }
    // A checkpoint copied an earlier generation since, and the copied pages still prove it.
    expect(Self.sameTick, folds: true) {
      $0.opening?.database?.modified = 900
      $0.opening?.salts = 6
      $0.checkpointedPages = .equal
    }
    expect(Self.sameTick, folds: false) { $0.opening = nil }
    expect(Self.sameTick, folds: false) { $0.opening?.database?.changed = 1999 }
  }

  @Test("After a checkpoint that could not copy everything, the copied pages decide")
  func partOfTheLog() {
    expect(Self.partlyCopied, folds: true)
    expect(Self.partlyCopied, folds: false) { $0.checkpointedPages = .unknown }
    expect(Self.partlyCopied, folds: false) { $0.opening = nil }
    expect(Self.partlyCopied, folds: false, warns: true) { $0.checkpointedPages = .different }
    // No checkpoint ended since we opened, but the file changed.
    expect(Self.partlyCopied, folds: false, warns: true) { $0.opening?.backfilled = 6 }
    expect(Self.partlyCopied, folds: true) {
      $0.opening?.backfilled = 6
      $0.opening?.salts = 5
    }
  }

  @Test("The pages are read only if the time stamps prove nothing")
  func readsPages() {
    let untouched = Self.facts(Self.partlyCopied) { $0.databaseNow = Self.file(at: 1000) }
    let complete = Self.facts(Self.partlyCopied) { $0.log?.backfilled = 10 }
    #expect(Self.facts(Self.partlyCopied, { _ in }).needsCheckpointedPages)
    #expect(!untouched.needsCheckpointedPages && !complete.needsCheckpointedPages)
  }

  @Test("Another file at the path, beside a log with content, raises an alarm")
  func replaced() {
    func moved(_ facts: inout ClosingFacts) {
      Self.abandoned(&facts)
      facts.filesNow.database = FileIdentity(device: 1, inode: 9)
    }
    expect(moved, folds: false, warns: true)
    expect(moved, folds: false) { $0.filesNow.wal = nil }
    expect(moved, folds: false) { $0.walNow?.size = 0 }
    expect(moved, folds: false) { $0.filesNow.database = nil }
  }
}
