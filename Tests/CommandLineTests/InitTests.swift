import Glibc
import TestSupport
import Testing

private let canTrace = (try? Shell.run("strace", ["-o", "/dev/null", "true"]))?.status == 0

@Suite("init and its configuration file", .ownThread)
struct InitTests {
  private let nothing = ["DATABASE_URL": "", "BACKUP_ENCRYPTION_KEY_FILE": ""]

  @Test("init writes given values as settings and the others as comments, for everybody to read")
  func new() throws {
    let bed = try CommandBed(rows: 20)
    let output = try bed.succeed("init", "--database", "app.db", "--backup-dir", "store", environment: nothing)
    #expect(output.contains("Settings     \(bed.folder.path)/config/holdfast/holdfast.toml (new)\n"))
    let path = "config/holdfast/holdfast.toml"
    let text = try #require(try bed.folder.text(path))
    let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
    #expect(
      lines == [
        "database = \"\(bed.folder.path)/app.db\"", "backup_dir = \"\(bed.folder.path)/store\"",
      ])
    #expect(text.contains("\n#debounce = \"500ms\"\n"))
    var status = stat()
    #expect(stat(bed.folder.path(path), &status) == 0 && status.st_mode & 0o777 == 0o644)
    // It is found from anywhere, and its database is guarded.
    let point = try decode(Point.self, bed.succeed("create", "--json", environment: nothing))
    #expect(point.databasePath == bed.database && point.encrypted)
    try bed.succeed("verify", "latest", "--backup-dir", "store", environment: nothing)
  }

  @Test(
    "A signal during init waits until all is made", .enabled(if: canTrace, "strace cannot trace here"))
  func interrupted() throws {
    // The threads that run tests block signals, and a child inherits that.
    let unblocking =
      "import os, signal, sys; signal.pthread_sigmask(signal.SIG_SETMASK, []); os.execvp(sys.argv[1], sys.argv[1:])"
    for number in 1...3 {
      let bed = try CommandBed(rows: 3)
      let trace = ["-qq", "-o", "trace", "-e", "trace=fsync", "-e", "inject=fsync:signal=INT:when=\(number)"]
      let result = try Shell.run(
        "python3", ["-c", unblocking, "strace"] + trace + [CommandBed.program, "init", "--database", "app.db"],
        environment: bed.environment(nothing), in: bed.folder.path)
      let flushes = try #require(try bed.folder.text("trace")).split(separator: "\n").count { $0.contains("fsync(") }
      #expect(flushes >= number, "no signal was sent")
      #expect(result.status == 0 && result.stdout.contains("holdfast.toml (new)\n"), "\(number): \(result.stderr)")
      #expect(try bed.folder.text("config/holdfast/holdfast.toml") != nil, "\(number)")
    }
  }

  @Test("If a configuration file exists anywhere, init does not overwrite it")
  func existing() throws {
    let bed = try CommandBed(rows: 20)
    try bed.folder.write("holdfast.toml", Array("mode = \"change\"\n".utf8))
    let output = try bed.succeed("init", environment: nothing)
    #expect(output.contains("Settings     holdfast.toml (was there already and is kept as it is)\n"))
    #expect(try bed.folder.text("holdfast.toml") == "mode = \"change\"\n")
    #expect(try bed.folder.text("config/holdfast/holdfast.toml") == nil)
    try bed.succeed("init", "--config", "new.toml", environment: nothing)
    let text = try bed.folder.text("new.toml")
    #expect(text?.contains("#mode = ") == true)
    try bed.succeed("init", "--config", "new.toml", "--database", "app.db", environment: nothing)
    #expect(try bed.folder.text("new.toml") == text)
  }

  @Test("--new-repository begins a new repository if the known one is away, and creates nothing else")
  func anew() throws {
    let bed = try CommandBed(rows: 20)
    let first = try bed.create()
    #expect(try Shell.run("mv", [bed.folder.path("backups"), bed.folder.path("away")]).status == 0)
    let refused = try bed.run("create")
    #expect(refused.status == 8 && refused.stderr.contains("init --new-repository --backup-dir"))
    #expect(try bed.run("doctor").stdout.contains("are not there"))
    try bed.succeed("init", "--new-repository", "--backup-dir", "backups")
    #expect(try bed.folder.text("config/holdfast/holdfast.toml") == nil)
    let second = try bed.create()
    #expect(try bed.succeed("list").contains(second))
    #expect(try Shell.run("mv", [bed.folder.path("backups"), bed.folder.path("interlude")]).status == 0)
    #expect(try Shell.run("mv", [bed.folder.path("away"), bed.folder.path("backups")]).status == 0)
    #expect(try bed.succeed("list").contains(first))
  }

  @Test("init creates the folder of every configured database")
  func several() throws {
    let bed = try CommandBed(rows: 20)
    try bed.makeDatabase(at: bed.folder.path("b.db"), rows: 20)
    try bed.folder.write("holdfast.toml", Array("backup_dir = \"store\"\n[[databases]]\npath = \"*.db\"\n".utf8))
    try bed.succeed("init", environment: nothing)
    for name in ["app", "b"] {
      #expect(try bed.succeed("list", "--database", name, environment: nothing).hasPrefix("Avail"))
    }
  }
}
