import FoundationEssentials
import Glibc
import Names
import TestSupport
import Testing

@Suite("Names and descriptions from another user", .ownThread)
struct HostileNamesTests {
  @Test("No control character of a name, a description or a value reaches a terminal")
  func controls() throws {
    let bed = try CommandBed(rows: 3)
    let hostile = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\n"
    try bed.python(
      """
      import sqlite3, sys
      c = sqlite3.connect(sys.argv[1])
      name = '"a' + sys.argv[2] + 'b"'
      c.execute(f"create table {name}({name} default '{sys.argv[2]}')")
      c.execute(f"create index \\"i{sys.argv[2]}\\" on {name}({name})")
      c.execute(f"insert into {name} values(?)", (sys.argv[2],))
      c.commit()
      """, bed.database, hostile)
    try bed.succeed("create", "--description", hostile, "--tags", hostile)
    try bed.python(
      "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('delete from \"a' + sys.argv[2] + 'b\"'); c.commit()",
      bed.database, hostile)
    for arguments in [
      ["list"], ["show", "latest"], ["show", "latest", "--schema"], ["stats"], ["diff", "latest", "live"],
      ["cleanup", "--keep", "1", "--dry-run"], ["verify", "latest"], ["drill"], ["restore", "latest", "--dry-run"],
      ["restore", "latest", "--table", "nobody\(hostile)", "--to", "copy.db", "--yes"],
      ["query", "latest", "select name, sql from sqlite_schema"], ["show", "\(hostile)"],
    ] {
      for json in [[], ["--json"]] {
        let result = try Shell.run(
          CommandBed.program, arguments + json, environment: bed.environment(), in: bed.folder.path)
        let text = result.stdout + result.stderr
        #expect(!text.unicodeScalars.contains(where: Self.acts), "\(arguments), \(text)")
        #expect(!text.isEmpty)
      }
    }
  }

  /// C0 except the ends of lines and the tabs of tables, DEL, C1, and the direction that the name
  /// changes. Written out here: the program's own list could be wrong.
  private static func acts(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 && scalar != "\n" && scalar != "\t" || (0x7f...0x9f).contains(scalar.value)
      || scalar == "\u{202e}"
  }
}

/// The owners of files after a restore, and after root ran a command.
@Suite("Owners and permissions", .ownThread)
struct OwnershipTests {
  private func mode(_ path: String) -> UInt32 {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
  }

  private func run(_ bed: CommandBed, _ prefix: [String], _ arguments: [String]) throws -> ProgramResult {
    let command = prefix + [CommandBed.program] + arguments
    return try Shell.run(
      command[0], Array(command.dropFirst()), environment: bed.environment(), in: bed.folder.path)
  }

  @Test("A restored lost database has its permissions again", arguments: [[], ["--no-encrypt"]])
  func lost(options: [String]) throws {
    let bed = try CommandBed(rows: 3)
    chmod(bed.database, 0o600)
    #expect(try run(bed, [], ["create"] + options).status == 0)
    for suffix in ["", "-wal", "-shm"] { unlink(bed.database + suffix) }
    chmod(bed.folder.path, 0o755)
    try bed.succeed("restore", "latest", "--yes")
    #expect(mode(bed.database) == 0o600)
  }

  @Test("A restore to another file respects the umask and sets no execute permission")
  func newFile() throws {
    let bed = try CommandBed(rows: 3)
    chmod(bed.database, 0o666)
    try bed.succeed("create")
    for (mask, expected) in [("077", UInt32(0o600)), ("022", 0o644)] {
      let to = "copy\(mask).db"
      let result = try run(
        bed, ["sh", "-c", "umask \(mask); exec \"$@\"", "sh"], ["restore", "latest", "--to", to, "--yes"])
      #expect(result.status == 0 && mode(bed.folder.path(to)) == expected, "\(mask): \(result.stderr)")
    }
  }

  @Test("An incremental also records the permissions")
  func incremental() throws {
    let bed = try CommandBed(rows: 3)
    chmod(bed.database, 0o640)
    _ = try bed.makeChain(incrementals: 1)
    let shown = try bed.succeed("show", "latest", "--json")
    #expect(shown.contains("\"database_mode\" : \"0640\"") && shown.contains("\"kind\" : \"incremental\""))
  }

  private static let isRoot = geteuid() == 0

  private func become(_ user: Int, _ group: Int) -> [String] {
    ["setpriv", "--reuid=\(user)", "--regid=\(group)", "--clear-groups"]
  }

  /// A bed that this user owns and may enter.
  private func bed(of user: uid_t, _ group: gid_t, mode: mode_t) throws -> CommandBed {
    let bed = try CommandBed(rows: 3)
    for name in ["", "/app.db", "/key"] { chown(bed.folder.path + name, user, group) }
    chmod(bed.folder.path, mode)
    chmod(bed.folder.path("key"), 0o644)
    chmod(bed.database, 0o640)
    return bed
  }

  @Test(
    "Files that root creates in a service's folders belong to the service",
    .enabled(if: isRoot && Unprivileged.isPossible, "needs root, and a build that others may run"))
  func rootBesideTheService() throws {
    let bed = try bed(of: 65534, 65534, mode: 0o755)
    let service = become(65534, 65534)
    for _ in 0..<3 { #expect(try run(bed, service, ["create"]).status == 0) }
    let id = try #require(try bed.succeed("list").lines.compactMap { $0.firstMatch(of: #/backup_\w+/#)?.0 }.last)
    for arguments in [["pin", String(id)], ["create"], ["restore", "latest", "--yes"], ["drill"]] {
      #expect(try run(bed, [], arguments).status == 0, "\(arguments)")
    }
    for arguments in [
      ["list"], ["cleanup", "--keep", "1", "--yes"], ["create"], ["undo", "--yes"], ["verify", "--all"],
    ] {
      let result = try run(bed, service, arguments)
      #expect(
        result.status == 0 && !(result.stdout + result.stderr).contains("denied"), "\(arguments): \(result.stderr)")
    }
  }

  @Test(
    "A member of the group does not lock the application out",
    .enabled(if: isRoot && Unprivileged.isPossible, "needs root, and a build that others may run"))
  func groupMember() throws {
    let bed = try bed(of: 3001, 4000, mode: 0o2770)
    #expect(try run(bed, become(3001, 4000), ["create"]).status == 0)
    try bed.python(
      """
      import os, sys
      for folder, folders, files in os.walk(sys.argv[1]):
          for name in folders + files: os.chmod(os.path.join(folder, name), 0o770)
      os.chmod(sys.argv[1], 0o2770)
      with open(sys.argv[2], "r+b") as file: file.write(b"broken!!")
      """, bed.folder.path, bed.database)
    chmod(bed.database, 0o640)
    let refused = try run(bed, become(3002, 4000), ["restore", "latest", "--yes"])
    #expect(refused.status == 8 && refused.stderr.contains("belongs to user 3001"), "\(refused)")
    chmod(bed.database, 0o660)
    let done = try run(bed, become(3002, 4000), ["restore", "latest", "--yes"])
    #expect(done.status == 0 && (done.stdout + done.stderr).contains("will belong to 3002:4000"), "\(done)")
    #expect(mode(bed.database) == 0o660)
  }
}

private let canTrace = (try? Shell.run("strace", ["-o", "/dev/null", "true"]))?.status == 0

@Suite(
  "Decrypted pages", .ownThread,
  .enabled(
    if: canTrace && geteuid() == 0 && Unprivileged.isPossible, "needs root and strace, and a build that others may run")
)
struct ScratchPlaceTests {
  /// If this user may not write the log of a killed application, SQLite alone reads it, into a
  /// copy.
  @Test("Decrypted pages are written only below this host's own folder")
  func place() throws {
    let bed = try CommandBed(rows: 3)
    try bed.python(
      """
      import os, sqlite3, sys
      c = sqlite3.connect(sys.argv[1]); c.execute("insert into entries(text) values('in the log')"); c.commit()
      os.kill(os.getpid(), 9) if os.fork() == 0 else os.wait()
      for suffix in ("", "-wal", "-shm"): os.chmod(sys.argv[1] + suffix, 0o644)
      os._exit(0)
      """, bed.database)
    for name in ["backups", "state", "home", "config"] {
      mkdir(bed.folder.path(name), 0o755)
      chown(bed.folder.path(name), 65534, 65534)
    }
    chmod(bed.folder.path, 0o755)
    chmod(bed.folder.path("key"), 0o644)
    let trace = ["strace", "-f", "-qq", "-o", bed.folder.path("trace"), "-e", "trace=openat,open,creat"]
    let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    let command = trace + user + [CommandBed.program, "agent", "--once"]
    let result = try Shell.run(
      command[0], Array(command.dropFirst()), environment: bed.environment(), in: bed.folder.path)
    #expect(result.status == 0, "\(result.stderr)")
    let made = String(decoding: try bed.folder.read("trace") ?? [], as: UTF8.self).lines.filter {
      $0.contains("O_CREAT") && !$0.contains("ENOENT") && !$0.contains("/dev/shm")
    }
    #expect(made.contains { $0.contains("/scratch/.tmp-copy-") }, "the case is not set up: \(made)")
    for line in made where line.contains(bed.backups) && !line.contains("/.state/lock\"") {
      #expect(
        line.contains("/.tmp-backup_") || line.contains("/.tmp-digests") || line.contains(".json")
          || line.contains(".lock\""),
        "\(line)")
      #expect(!line.contains("-journal\""), "\(line)")
    }
    #expect(try SystemNames.of(bed.folder.path("state/holdfast/scratch")).isEmpty)
  }
}

private enum SystemNames {
  static func of(_ folder: String) throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder) }
}
