import BackupEngine
import BackupPolicy
import Glibc
import Synchronization
import Testing
import TestSupport

@testable import BackupAgent

@Suite(.ownThread) struct UnheardWritesTests {
  private let folder: TemporaryFolder
  private let path: WatchedPath
  private let files = SystemFileOperations()
  /// The period begins ten seconds after the files were written, at 1,000 of the other clock.
  private let begin = Timestamp(milliseconds: 1_700_000_010_000)

  init() throws {
    folder = try TemporaryFolder()
    path = WatchedPath(folder.path("app.db"))
    for name in ["app.db", "app.db-wal"] { try touch(name, after: -10000) }
  }

  /// Writes a file as if this many milliseconds after the beginning.
  private func touch(_ name: String, after: Int64, bytes: Int = 1) throws {
    let file = try folder.write(name, [UInt8](repeating: 1, count: bytes))
    let time = begin.milliseconds + after
    let spec = timespec(tv_sec: Int(time / 1000), tv_nsec: Int(time % 1000) * 1_000_000)
    try #require(utimensat(AT_FDCWD, file, [spec, spec], 0) == 0)
  }

  private func period() -> SuppressedWrites { SuppressedWrites(of: path, from: 1000, files) }

  private func lastWrite(in period: SuppressedWrites, after: Int64) -> Int64? {
    let now = Moment(wall: Timestamp(milliseconds: begin.milliseconds + after), monotonic: 1000 + after)
    return period.lastWrite(to: path, until: now, files)?.monotonic
  }

  @Test func nothingWasWritten() {
    #expect(lastWrite(in: period(), after: 500) == nil)
  }

  @Test(arguments: ["app.db", "app.db-wal", "app.db-journal"])
  func theLastWriteHasItsTime(name: String) throws {
    let period = period()
    try touch(name, after: 300)
    #expect(lastWrite(in: period, after: 500) == 1300)
  }

  @Test func theLatestOfSeveralFilesCounts() throws {
    let period = period()
    try touch("app.db-wal", after: 400)
    try touch("app.db", after: 200)
    #expect(lastWrite(in: period, after: 500) == 1400)
  }

  /// A file system that counts seconds, and clocks that were set back and forward.
  @Test(arguments: [Int64(-10000), -600, 900])
  func aTimeThatCannotBeTrueCountsAsNow(time: Int64) throws {
    let period = period()
    try touch("app.db-wal", after: time, bytes: 2)
    #expect(lastWrite(in: period, after: 500) == 1500)
  }

  @Test func whatWentCountsAsNow() throws {
    let period = period()
    try files.unlink(folder.path("app.db-wal"))
    #expect(lastWrite(in: period, after: 500) == 1500)
  }

  // MARK: In the agent

  /// The event mask of each call to the kernel.
  private final class Masks: Sendable {
    private let asked = Mutex<[UInt32]>([])

    var calls: InotifyCalls {
      InotifyCalls(
        open: InotifyCalls.system.open,
        add: { [self] instance, path, mask in
          // The folder itself, not those above it and not the files that are watched for closing.
          if mask & UInt32(IN_MOVED_TO) != 0 { asked.withLock { $0.append(mask & UInt32(IN_MODIFY)) } }
          return InotifyCalls.system.add(instance, path, mask)
        })
    }

    /// How often writes raised no event.
    var pauses: Int { asked.withLock { masks in zip(masks, masks.dropFirst()).count { $0 != 0 && $1 == 0 } } }
    var hears: Bool { asked.withLock { $0.last != 0 } }
  }

  /// The writer continues for longer than the quiet period; only the files' times show it.
  @Test(arguments: ["wal", "delete", "truncate"])
  func quietCountsFromTheLastWriteThatWasNotHeard(journal: String) async throws {
    let harness = try AgentHarness()
    let masks = Masks()
    try await harness.createDatabase(journal: journal)
    let settings = AgentHarness.settings {
      $0.debounce = 1500
      $0.maxDelay = 60000
      $0.pollInterval = 3_600_000
    }
    try await harness.withAgent(settings, parts: { $0.inotify = masks.calls }) { _ in
      try await harness.waitForPoints(1)
      // Twice, because the agent must receive the events of writes again afterwards; more often if
      // the writer itself was delayed.
      var (bursts, steady) = (0, 0)
      while steady < 2, bursts < 10 {
        let before = try harness.points().count
        bursts += 1
        let isSteady = try await writeSteadily(harness)
        try await harness.waitForRows(Int64(80 * bursts))
        guard isSteady else { continue }
        steady += 1
        #expect(try harness.points().count == before + 1, "\(harness.log.lines)")
      }
      #expect(steady == 2)
    }
    #expect(masks.pauses >= 2 && masks.pauses < 60)
    #expect(masks.hears)
  }

  /// Commits for more than three seconds; returns whether no pause was longer than a second.
  private func writeSteadily(_ harness: AgentHarness) async throws -> Bool {
    let note = harness.folder.path("longest")
    try await harness.python(
      """
      c = sqlite3.connect(path)
      (last, longest) = (time.monotonic(), 0)
      for n in range(80):
        c.execute("INSERT INTO t(s) VALUES ('x')")
        c.commit()
        longest = max(longest, time.monotonic() - last)
        last = time.monotonic()
        time.sleep(0.04)
      os.close(os.open("\(note)" + (".short" if longest < 1 else ".long"), os.O_CREAT))
      os._exit(0)
      """)
    defer { for kind in [".short", ".long"] { try? files.unlink(note + kind) } }
    return try files.status(note + ".short") != nil
  }

  /// The agent does not check the files' times before the next run.
  @Test func writesGoUnheardUntilAScheduledRun() async throws {
    let harness = try AgentHarness()
    let masks = Masks()
    try await harness.createDatabase()
    let settings = AgentHarness.settings {
      $0.mode = .schedule
      $0.schedules = [try! CronSchedule("0 0 1 1 *")]
      $0.pollInterval = 3_600_000
    }
    try await harness.withAgent(settings, parts: { $0.inotify = masks.calls }) { group in
      for rows in 1...2 as ClosedRange<Int64> {
        try await harness.python("c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (1)'); c.commit()")
        try await harness.eventually("a pause") { masks.pauses >= rows }
        try await harness.python("c = sqlite3.connect(path); c.execute('UPDATE t SET s=2'); c.commit()")
        harness.control.backUpNow(nil)
        try await harness.waitForRows(rows)
      }
    }
    #expect(masks.pauses >= 2)
  }

  /// The file is removed while the agent receives no events of it.
  @Test func aDatabaseThatIsRemovedUnheardIsNoticedWhenSomethingIsDue() async throws {
    let harness = try AgentHarness()
    let masks = Masks()
    try await harness.createDatabase(journal: "delete")
    let settings = AgentHarness.settings {
      $0.debounce = 1000
      $0.pollInterval = 3_600_000
    }
    try await harness.withAgent(settings, parts: { $0.inotify = masks.calls }) { _ in
      try await harness.waitForPoints(1)
      try await harness.python("c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (1)'); c.commit()")
      try await harness.eventually("a pause") { masks.pauses >= 1 }
      try await harness.python("import shutil; shutil.copy(path, path + '.away'); os.remove(path)")
      try await harness.eventually("the alarm") { harness.log.count("there is no database") > 0 }
      try await harness.python("os.rename(path + '.away', path)")
      try await harness.waitForRows(1)
    }
  }
}
