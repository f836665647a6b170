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
