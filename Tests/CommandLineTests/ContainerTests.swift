import Glibc
import TestSupport
import Testing

/// Beside programs that this one cannot see because they run in another PID namespace.
@Suite("In a container", .ownThread)
struct ContainerTests {
  private static let container = ["--pid", "--fork", "--mount-proc"]
  /// A new namespace needs root.
  static let isPossible = (try? Shell.run("unshare", container + ["true"]).status) == 0

  /// Only SQLite's locks would show the program, and it has lost them.
  @Test("A command in a container leaves the log of an application outside alone", .enabled(if: isPossible))
  func lostLocks() throws {
    let bed = try CommandBed(rows: 20)
    let application = try StagedApplication(
      bed.database, folder: bed.folder,
      [
        .open, .run("PRAGMA journal_mode = WAL"), .run("INSERT INTO entries (text) VALUES ('first')"), .dropLocks,
        .wait,
        .run("INSERT INTO entries (text) VALUES ('late')"),
      ])
    let result = try Shell.run(
      "unshare", Self.container + [CommandBed.program, "create", "--no-encrypt"], environment: bed.environment(),
      in: bed.folder.path)
    #expect(result.status == 0, "\(result.stderr)")
    #expect(access(bed.database + "-wal", F_OK) == 0)
    try application.goOn()
    application.kill()
    #expect(try bed.value("SELECT count(*) FROM entries", of: bed.database) == "22")
  }

  private static let steps: [StagedApplication.Step] = [
    .open, .run("PRAGMA journal_mode = WAL"), .run("INSERT INTO entries (text) VALUES ('first')"),
    .run("PRAGMA cache_size = 3"), .run("BEGIN IMMEDIATE"),
  ]

  /// Opening would empty the index under the application, whose transaction is in no file yet.
  @Test("A database whose hidden user has lost all locks is not opened in a container", .enabled(if: isPossible))
  func lostAllLocks() throws {
    let bed = try CommandBed(rows: 20)
    let application = try StagedApplication(
      bed.database, folder: bed.folder,
      Self.steps + [
        .run("INSERT INTO entries (text) VALUES ('late')"), .dropAllLocks, .wait, .run("COMMIT"), .wait,
      ])
    let refused = try create(bed)
    #expect(refused.status == 8, "\(refused.stderr)")
    #expect(refused.stderr.contains("a process that cannot be seen has \(bed.database)-wal open"))
    try application.goOn()
    application.kill()
    #expect(try bed.value("SELECT count(*) FROM entries", of: bed.database) == "22")
    let accepted = try create(bed)
    #expect(accepted.status == 0, "\(accepted.stderr)")
  }

  /// `/proc/locks` does not show the application's locks there.
  @Test("A command in a container reads beside a long transaction outside", .enabled(if: isPossible))
  func longTransaction() throws {
    let bed = try CommandBed(rows: 2000)
    let application = try StagedApplication(
      bed.database, folder: bed.folder, Self.steps + [.run("UPDATE entries SET text = text || 'x'"), .wait])
    var log = stat()
    #expect(stat(bed.database + "-wal", &log) == 0 && log.st_size > 100_000, "its frames are in the log")
    let result = try create(bed)
    #expect(result.status == 0, "\(result.stderr)")
    application.kill()
    let crashed = try create(bed)
    #expect(crashed.status == 8, "\(crashed.stderr)")
  }

  private func create(_ bed: CommandBed) throws -> ProgramResult {
    try Shell.run(
      "unshare", Self.container + [CommandBed.program, "create", "--no-encrypt"], environment: bed.environment(),
      in: bed.folder.path)
  }

  /// Swift reads the command line from `/proc`.
  @Test("If /proc is missing, the program still reads its command line", .enabled(if: isPossible))
  func withoutProc() throws {
    let bed = try CommandBed(rows: 20)
    let hidden = ["--mount", "sh", "-c", "umount -l /proc; exec \"$@\"", "sh", CommandBed.program]
    for command in [["create", "--no-encrypt"], ["agent", "--once", "--no-encrypt"], ["verify", "latest"]] {
      let result = try Shell.run("unshare", hidden + command, environment: bed.environment(), in: bed.folder.path)
      #expect(result.status == 0, "\(command): \(result.stderr)")
      #expect(!result.stdout.contains("SETTINGS:"))
    }
    let unknown = try Shell.run("unshare", hidden + ["nonsense"], environment: bed.environment(), in: bed.folder.path)
    #expect(unknown.status == 64)
    let backups = try bed.run("list", "--flat", "--json")
    #expect(backups.stdout.contains("backup_id"))
  }
}
