import Glibc
import TestSupport
import Testing

@Suite("Settings", .ownThread)
struct SettingsTests {
  @Test("Flags win over the environment, and the environment over defaults")
  func precedence() throws {
    let bed = try CommandBed(rows: 20)
    let off = ["BACKUP_ENCRYPTION_ENABLED": "FALSE", "BACKUP_COMPRESSION_ENABLED": "off"]
    #expect(try created(bed).filename.hasSuffix(".db.gz.enc"))
    #expect(try created(bed, environment: off).filename.hasSuffix(".db"))
    #expect(try created(bed, "--encrypt", "--compress", environment: off).filename.hasSuffix(".db.gz.enc"))
    #expect(try created(bed, "--no-compress").filename.hasSuffix(".db.enc"))
    #expect(try !created(bed).verified)
    #expect(try created(bed, environment: ["BACKUP_VERIFY_AFTER_CREATE": "yes"]).verified)
    #expect(try !created(bed, "--no-verify", environment: ["BACKUP_VERIFY_AFTER_CREATE": "yes"]).verified)
  }

  private func created(_ bed: CommandBed, _ flags: String..., environment: [String: String] = [:]) throws -> Point {
    let result = try Shell.run(
      CommandBed.program, ["create", "--json"] + flags, environment: bed.environment(environment), in: bed.folder.path)
    #expect(result.status == 0, "\(result.stderr)")
    return try decode(Point.self, result.stdout)
  }

  @Test("The backup folder comes from the flag, the variable, a place beside the database, or here")
  func folders() throws {
    let bed = try CommandBed(rows: 20)
    try bed.python("import os, sys; os.mkdir(sys.argv[1])", bed.folder.path("data"))
    try bed.makeDatabase(at: bed.folder.path("data/other.db"), rows: 20)
    let other = ["DATABASE_URL": "sqlite:////\(bed.folder.path("data/other.db").dropFirst())"]
    _ = try bed.create(other)
    #expect(try list(bed.folder.path("data/backups")).contains(".metadata"))
    _ = try bed.create(other.merging(["BACKUP_DIR": "second"]) { $1 })
    #expect(try list(bed.folder.path("second")).contains(".metadata"))
    try bed.succeed("create", "--backup-dir", "third", environment: ["BACKUP_DIR": "second"])
    #expect(try list(bed.folder.path("third")).contains(".metadata"))
    #expect(
      try bed.run("list", environment: ["DATABASE_URL": ""]).stderr.contains("there is no backup folder backups\n"))
  }

  private func list(_ folder: String) throws -> [String] {
    let result = try Shell.run("ls", ["-A", folder])
    return result.stdout.split(separator: "\n").map(String.init)
  }

  @Test("A password comes from the environment or a file, and a wrong one is detected")
  func passwords() throws {
    let bed = try CommandBed(rows: 20)
    let right = ["BACKUP_ENCRYPTION_KEY_FILE": "", "BACKUP_ENCRYPTION_PASSWORD": "a right one"]
    _ = try bed.create(right)
    try bed.succeed("verify", "latest", environment: right)
    try bed.folder.write("password", Array("a right one\r\nand a second line".utf8))
    let file = ["BACKUP_ENCRYPTION_KEY_FILE": "", "BACKUP_ENCRYPTION_PASSWORD_FILE": "password"]
    try bed.succeed("verify", "latest", environment: file)
    let wrong = right.merging(["BACKUP_ENCRYPTION_PASSWORD": "a wrong one"]) { $1 }
    try bed.succeed("verify", "latest", "--password-file", "password", environment: wrong)
    let result = try bed.run("verify", "latest", environment: wrong)
    #expect(result.status == 5 && result.stderr.contains("\nholdfast: hint: "), "\(result.stderr)")
  }

  @Test("A restore with a wrong password stores nothing", arguments: ["aes-256-gcm", "aes-256-cbc"])
  func wrongPassword(cipher: String) throws {
    let bed = try CommandBed(rows: 20)
    let right = ["BACKUP_ENCRYPTION_KEY_FILE": "", "BACKUP_ENCRYPTION_PASSWORD": "a right one"]
    for flag in ["--compress", "--no-compress"] {
      try bed.succeed("create", "--cipher", cipher, flag, environment: right)
      let before = try FolderDigest.of(bed.folder.path)
      let wrong = right.merging(["BACKUP_ENCRYPTION_PASSWORD": "a wrong one"]) { $1 }
      let result = try bed.run("restore", "latest", "--yes", environment: wrong)
      #expect(result.status == 5 && result.stderr.contains("does not open it"), "\(result.stderr)")
      #expect(before.differences(to: try FolderDigest.of(bed.folder.path)) == [])
      try bed.succeed("restore", "latest", "--yes", "--no-safety-backup", environment: right)
    }
  }

  @Test("init creates a key that only its owner can read, and the other commands find it")
  func key() throws {
    let bed = try CommandBed(rows: 20)
    let none = ["BACKUP_ENCRYPTION_KEY_FILE": ""]
    let path = bed.folder.path("config/holdfast/key")
    let output = bed.normalised(try bed.succeed("init", environment: none))
    #expect(output.hasPrefix("Backups      DIR/backups\nKey file     DIR/config/holdfast/key (new)\n"))
    #expect(output.contains("Keep a copy of the key file"))
    let key = try #require(try bed.folder.read("config/holdfast/key"))
    let text = String(decoding: key, as: UTF8.self)
    #expect(text.wholeMatch(of: #/[0-9a-f]{64}\n/#) != nil)
    #expect(!output.contains(text.dropLast()))
    #expect(mode(path) == 0o600 && mode(bed.folder.path("config/holdfast")) == 0o700)
    #expect(try created(bed, environment: none).encrypted)
    try bed.succeed("verify", "latest", "--key-file", path)
    let again = try bed.succeed("init", environment: none)
    #expect(again.contains("was there already and is kept as it is"))
    #expect(try bed.folder.read("config/holdfast/key") == key)
  }

  @Test("init leaves a file that is not a key unchanged and reports it")
  func notAKey() throws {
    let bed = try CommandBed(rows: 20)
    try bed.folder.write("notes", Array("my notes".utf8))
    let result = try bed.run("init", "--key-file", "notes")
    #expect(result.status == 5 && result.stderr.contains("notes is not a key file"))
    let named = try bed.run("create", environment: ["BACKUP_ENCRYPTION_KEY_FILE": "gone"])
    #expect(
      named.stderr.contains(
        "cannot read the key file gone: no such file (named by environment variable BACKUP_ENCRYPTION_KEY_FILE)"))
    #expect(try bed.folder.read("notes") == Array("my notes".utf8))
  }

  private func mode(_ path: String) -> mode_t {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
  }

  @Test("A wrong value matters only to the commands that use it")
  func irrelevant() throws {
    let bed = try CommandBed(rows: 20)
    let wrong = ["BACKUP_MAX_BACKUPS": "abc", "BACKUP_ENABLED": "maybe", "BACKUP_SCHEDULE": "whenever"]
    _ = try bed.create(wrong)
    try bed.succeed("list", environment: wrong)
    try bed.succeed("cleanup", "--keep", "3", environment: wrong)
    let key = ["BACKUP_ENCRYPTION_KEY_FILE": "gone"]
    let list = try bed.run("list", environment: key)
    #expect(list.status == 0 && list.stdout.hasPrefix("Available backups: 1\n"))
    #expect(list.stderr.contains(" warning: continuing without a password or key: "), "\(list.stderr)")
    #expect(try bed.run("list", "--key-file", "gone").status == 5)
  }

  @Test("A command that removes backups stops if the configured key cannot be read")
  func keyOfRemoval() throws {
    let bed = try CommandBed(rows: 20)
    for _ in 0..<3 { _ = try bed.create() }
    let key = ["BACKUP_ENCRYPTION_KEY_FILE": "gone"]
    for result in try [bed.run("cleanup", "--keep", "1", environment: key), bed.run("compact", environment: key)] {
      #expect(result.status == 5 && result.stderr.contains("gone"), "\(result.stderr)")
    }
    #expect(try bed.succeed("list").hasPrefix("Available backups: 3\n"))
  }

  @Test(
    "A settings file that exists but cannot be read is refused and not treated as absent",
    arguments: ["holdfast.toml", ".env"])
  func unreadable(name: String) throws {
    let bed = try CommandBed(rows: 20)
    let path = bed.folder.path(name)
    #expect(symlink("away/settings", path) == 0)
    let dangling = try bed.run("create")
    #expect(dangling.status == 8 && dangling.stderr.contains("cannot read \(name): it is a link"), "\(dangling.stderr)")
    #expect(unlink(path) == 0 && mkfifo(path, 0o600) == 0)
    let fifo = try bed.run("create")
    #expect(fifo.status == 8 && fifo.stderr.contains("cannot read \(name): it is not"), "\(fifo.stderr)")
    #expect(unlink(path) == 0 && mkdir(path, 0o700) == 0)
    #expect(try bed.run("create").status == (name == ".env" ? 0 : 8))
    #expect(rmdir(path) == 0 && symlink("/dev/null", path) == 0)
    #expect(try bed.run("create").status == 0)
  }

  @Test("The environment's retention rules apply if no flag gives one")
  func retention() throws {
    let bed = try CommandBed(rows: 20)
    for _ in 0..<3 { _ = try bed.create() }
    let rules = ["BACKUP_RETENTION_DAYS": "30", "BACKUP_MAX_BACKUPS": "2"]
    let both = try decode(CleanupResult.self, bed.succeed("cleanup", "--dry-run", "--json", environment: rules))
    #expect(both.keep.count == 2 && both.remove.first?.reasons == ["beyond max_backups 2"])
    let flag = try decode(
      CleanupResult.self, bed.succeed("cleanup", "--keep", "1", "--dry-run", "--json", environment: rules))
    #expect(flag.keep.count == 1 && flag.remove.count == 2)
  }

  @Test(
    "If systemd or XDG names a folder, this host's state is there",
    arguments: ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"])
  func state(variable: String) throws {
    let bed = try CommandBed(rows: 20)
    var environment = ["STATE_DIRECTORY": "", "XDG_STATE_HOME": ""]
    environment[variable] = bed.folder.path("place")
    _ = try bed.create(environment)
    let folder =
      switch variable {
      case "STATE_DIRECTORY": "place"
      case "XDG_STATE_HOME": "place/holdfast"
      default: "place/.local/state/holdfast"
      }
    #expect(try list(bed.folder.path(folder)).filter { $0.hasSuffix(".json") }.count == 1)
  }

  @Test(
    "A path with odd characters works and is printed as one line",
    arguments: ["with space.db", "it's \"quoted\".db", "new\nline.db", "größe €.db", "50%.db", "a?b#c.db"])
  func paths(name: String) throws {
    let bed = try CommandBed(rows: 20)
    try bed.makeDatabase(at: bed.folder.path(name), rows: 33)
    let environment = ["DATABASE_URL": ""]
    let flags = ["--database", name, "--backup-dir", "backups of \(name)"]
    func run(_ arguments: String...) throws -> String {
      let result = try Shell.run(
        CommandBed.program, arguments + flags, environment: bed.environment(environment), in: bed.folder.path)
      #expect(result.status == 0, "\(arguments): \(result.stderr)")
      return result.stdout
    }
    let point = try decode(Point.self, run("create", "--json"))
    #expect(point.databasePath == bed.folder.path(name) && point.totalRecords == 33)
    _ = try bed.value("DELETE FROM entries", of: bed.folder.path(name))
    #expect(try decode(Verdict.self, run("verify", "latest", "--json")).verified)
    // A newline in a path must not look like another line of output.
    #expect(try !run("restore", "latest", "--dry-run").contains("new\nline.db"))
    _ = try run("restore", point.backupId, "--yes")
    #expect(try bed.value("SELECT count(*) FROM entries", of: bed.folder.path(name)) == "33")
    _ = try run("restore", point.backupId, "--to", "copy of \(name)", "--yes")
    #expect(try bed.value("SELECT count(*) FROM entries", of: bed.folder.path("copy of \(name)")) == "33")
  }

  @Test(
    "Help and version are answers, not errors",
    arguments: [["--help"], ["create", "--help"], ["help", "restore"], []])
  func help(arguments: [String]) throws {
    let bed = try CommandBed(rows: 1)
    let result = try Shell.run(CommandBed.program, arguments, environment: bed.environment())
    #expect(result.status == 0 && result.stderr == "" && result.stdout.contains("USAGE: holdfast"))
    #expect(try bed.succeed("--version").wholeMatch(of: #/holdfast \d+\.\d+\.\d+ \(SQLite 3\.\d+\.\d+\)\n/#) != nil)
  }
}
