import BackupEngine
import BackupPolicy
import TestSupport
import Testing

/// A repository with backups from November 2023, and the program of today.
@Suite("The compact command", .ownThread)
struct CompactCommandTests {
  private let bed: TestBed

  init() throws {
    bed = try TestBed()
    try bed.makeDatabase(rows: 60, bytes: 300)
    var request = CreateRequest()
    request.reason.type = .change
    _ = try bed.engine().create(request)
    for step in 1...6 {
      try bed.change("UPDATE marker SET text = '\(step)'")
      try bed.storeIncremental(.key, request)
    }
  }

  /// - Parameter trusts: whether the run trusts the clock, because no run and no backup was near
  ///   the present day.
  private func run(_ arguments: String..., keyFile: String? = nil, trusts: Bool = true) throws -> ProgramResult {
    try Shell.run(
      CommandBed.program, arguments + (trusts ? ["--trust-clock"] : []), environment: environment(keyFile),
      in: bed.folder.path)
  }

  private func environment(_ keyFile: String? = nil) -> [String: String] {
    [
      "HOME": bed.folder.path("home"), "XDG_STATE_HOME": bed.folder.path("elsewhere"), "TZ": "UTC",
      "DATABASE_URL": bed.database, "BACKUP_DIR": bed.backups, "BACKUP_ENCRYPTION_KEY_FILE": keyFile ?? bed.keyFile,
    ]
  }

  private func normalised(_ text: String) -> String {
    text.replacing(#/[\d.]+ (B|KiB)/#, with: "SIZE")
  }

  private static let removed = "backup_20231116_143023, backup_20231116_143024 … backup_20231116_143027"
  private static let planned = """
    Would merge 5 backups into backup_20231116_143028: SIZE before, at most SIZE after
      older than 7 days: only fulls are kept
      \(removed)
    """

  /// The output of `compact --dry-run` without sizes.
  private func dryRun() throws -> String {
    let dry = try run("compact", "--dry-run")
    #expect(dry.status == 0 && dry.stderr == "")
    return normalised(dry.stdout)
  }

  @Test("compact shows each merged backup, its target, the reason and the bytes, then merges; a second run has no work")
  func transcript() throws {
    let image = try bed.restored(try bed.engine().point("latest").id)
    #expect(
      try dryRun() == """
        \(Self.planned)

        5 backups would be removed, which would free at least SIZE

        """)
    #expect(try bed.engine().list().count == 7)
    let done = try run("compact")
    #expect(done.status == 0 && done.stderr == "")
    #expect(
      normalised(done.stdout) == """
        Merged 5 backups into backup_20231116_143028: SIZE before, SIZE after
          older than 7 days: only fulls are kept
          \(Self.removed)

        5 backups removed, which freed SIZE

        """)
    #expect(try bed.engine().list().count == 2)
    #expect(try bed.restored(try bed.engine().point("latest").id) == image)
    #expect(try run("compact").stdout == "Nothing to merge\n")
    #expect(try run("compact", "--quiet").stdout == "")
  }

  @Test("A signal ends the wait for the lock with exit code 130, and nothing is merged")
  func interrupted() throws {
    let output = try LockedRepository.interrupt(
      ["compact", "--trust-clock"], backups: bed.backups, in: bed.folder.path, environment: environment())
    #expect(output == "130")
    #expect(try bed.engine().list().count == 7)
  }

  /// A time server may keep the machine's clock and would confirm it.
  @Test("Three years after the last backup, compact removes nothing unless the clock is confirmed")
  func doubtfulClock() throws {
    let result = try run("compact", trusts: false)
    let count = try bed.engine().list().count
    guard result.status == 8 else { return #expect(result.status == 0 && count == 2) }
    #expect(count == 7 && result.stderr.contains("no time server confirms it"), "\(result.stderr)")
    #expect(result.stderr.contains("--trust-clock"))
    #expect(try run("compact", "--dry-run", trusts: false).status == 8)
    #expect(try run("compact").status == 0)
    #expect(try bed.engine().list().count == 2)
    // The confirmation was stored.
    #expect(try run("compact", trusts: false).status == 0)
  }

  @Test("The JSON document lists the same steps as planned and as done")
  func document() throws {
    let dry = try decode(Compaction.self, run("compact", "--dry-run", "--json").stdout)
    let done = try decode(Compaction.self, run("compact", "--json").stdout)
    #expect(!dry.executed && done.executed && dry.skipped.isEmpty && done.skipped.isEmpty)
    #expect(dry.steps.count == 1 && done.steps.map(\.removed) == dry.steps.map(\.removed))
    #expect(done.steps[0].into == "backup_20231116_143028" && done.steps[0].removed.count == 5)
    #expect(done.steps[0].reasons == ["older than 7 days: only fulls are kept"])
    #expect(done.steps[0].bytesBefore == dry.steps[0].bytesBefore)
    #expect(done.steps[0].bytesAfter <= dry.steps[0].bytesAfter)
  }

  @Test("A backup that a configured rule keeps stays and is shown with the rule")
  func rules() throws {
    var request = CreateRequest()
    request.reason.type = .change
    for step in 7...10 {
      if !step.isMultiple(of: 2) { bed.time.advance(seconds: 86400) }
      try bed.change("UPDATE marker SET text = '\(step)'")
      try bed.storeIncremental(.key, request)
    }
    try bed.folder.write("holdfast.toml", Array("keep_daily = 3\n".utf8))
    #expect(
      try dryRun() == """
        \(Self.planned)
        Would merge 1 backup into backup_20231117_143030: SIZE before, at most SIZE after
          older than 7 days: only fulls are kept
          backup_20231117_143029
        Would merge 1 backup into backup_20231118_143032: SIZE before, at most SIZE after
          older than 7 days: only fulls are kept
          backup_20231118_143031
        2 backups are kept by the rules
          the last of its day (keep_daily 3)
          backup_20231116_143028, backup_20231117_143030

        7 backups would be removed, which would free at least SIZE

        """)
    let planned = try decode(Compaction.self, run("compact", "--dry-run", "--json").stdout)
    #expect(planned.kept.map(\.backupId) == ["backup_20231116_143028", "backup_20231117_143030"])
    #expect(planned.kept.allSatisfy { $0.reasons == ["the last of its day (keep_daily 3)"] })
    let done = try decode(Compaction.self, run("compact", "--json").stdout)
    #expect(done.kept.map(\.backupId) == planned.kept.map(\.backupId) && done.steps.count == 3)
    #expect(try bed.engine().list().count == 4)
    #expect(try run("compact").stdout == "Nothing to merge\n")
    try bed.folder.write("holdfast.toml", Array("keep_daily = -2\n".utf8))
    #expect(try run("compact").status == 64)
    try bed.folder.write("holdfast.toml", Array("keep_last = 3\n".utf8))
    #expect(try decode(Compaction.self, run("compact", "--json").stdout).kept.isEmpty)
    #expect(try bed.engine().list().count == 2)
  }

  @Test("compact reports a damaged link and exits with 3; with a wrong key it exits with 5")
  func failures() throws {
    let point = try bed.engine().list()[3]
    var bytes = try #require(try bed.folder.read("backups/\(point.name.text)"))
    // In the trailer, which `list` does not read.
    bytes[bytes.count - 10] ^= 1
    try bed.folder.write("other", Array(String(repeating: "ab", count: 32).utf8))
    let wrong = try run("compact", keyFile: bed.folder.path("other"))
    #expect(wrong.status == 5 && wrong.stderr.contains("hint: "), "\(wrong)")
    try bed.folder.write("backups/\(point.name.text)", bytes)
    let result = try run("compact")
    #expect(result.status == 3 && result.stderr == "")
    #expect(result.stdout.hasPrefix("Left as they are: \(Self.removed): "), "\(result.stdout)")
    #expect(result.stdout.contains("\(point.id)"), "\(result.stdout)")
    #expect(try run("compact", "--quiet").stdout == result.stdout)
    let document = try decode(Compaction.self, run("compact", "--json").stdout)
    #expect(document.skipped.first?.error.message.contains("\(point.id)") == true && document.steps.isEmpty)
    #expect(try bed.engine().list().count == 7)
  }
}

private struct Compaction: Decodable {
  struct Step: Decodable {
    var into: String?
    var removed: [String]
    var reasons: [String]
    var bytesBefore: Int64
    var bytesAfter: Int64
  }

  struct Skipped: Decodable {
    struct Problem: Decodable { var message: String }
    var removed: [String]
    var error: Problem
  }

  var executed: Bool
  var steps: [Step]
  var skipped: [Skipped]
  var kept: [Kept]

  struct Kept: Decodable {
    var backupId: String
    var reasons: [String]
  }
}
