import Glibc
import TestSupport
import Testing

/// Each refusal has a clear error, a hint and the documented exit code, and changes nothing on
/// disk.
@Suite("Refusals", .ownThread)
struct RefusalTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var arguments: [String]
    var environment: [String: String] = [:]
    var code: Int32
    /// A part of the error line.
    var error: String
    /// A part of the hint.
    var hint: String
    var testDescription: String { name }
  }

  static let points: [Case] = [
    Case(
      name: "an ID that is a path", arguments: ["show", "../../etc/passwd"], code: 4,
      error: "\"../../etc/passwd\" is not the ID of a backup", hint: "IDs look like"),
    Case(
      name: "an ID of 10 kB", arguments: ["restore", String(repeating: "backup_1", count: 1250), "--yes"], code: 4,
      error: "backup_1…\" is not the ID", hint: "holdfast list"),
    Case(
      name: "an empty ID", arguments: ["delete", "", "--yes"], code: 4, error: "\"\" is not the ID",
      hint: "holdfast list"),
    Case(
      name: "an ID with an escape sequence", arguments: ["verify", "\u{1b}[2J"], code: 4,
      error: "\"?[2J\" is not the ID",
      hint: "holdfast list"),
    Case(
      name: "an ID that is not there", arguments: ["verify", "backup_20200101_000000"], code: 4,
      error: "there is no backup backup_20200101_000000", hint: "holdfast list"),
    Case(name: "neither ID nor --all", arguments: ["verify"], code: 64, error: "either the ID", hint: "holdfast list"),
    Case(
      name: "both --at and --all", arguments: ["verify", "--all", "--at", "now"], code: 64, error: "either the ID",
      hint: "holdfast list"),
    Case(
      name: "a restore of nothing", arguments: ["restore", "--yes"], code: 64,
      error: "restore needs either the ID of a backup or --at TIME", hint: "holdfast list"),
    Case(
      name: "an ID and a time", arguments: ["show", "latest", "--at", "now"], code: 64,
      error: "show needs either the ID of a backup or --at TIME", hint: "holdfast list"),
    Case(
      name: "a time that is none", arguments: ["restore", "--at", "teatime", "--yes"], code: 64,
      error: "--at 'teatime' is not a time", hint: "'yesterday 14:03'"),
    Case(
      name: "a time before all backups", arguments: ["restore", "--at", "2001-01-01", "--yes"], code: 4,
      error: "there is no backup of 2001-01-01 00:00:00 +00:00 or before: the oldest is backup_", hint: "a later time"),
    Case(
      name: "a time in the future", arguments: ["restore", "--at", "9000-01-01", "--yes"], code: 64,
      error: "--at '9000-01-01' is in the future", hint: "latest"),
    Case(
      name: "a time that the clocks show twice",
      arguments: ["show", "--at", "2025-10-26 02:30"], environment: ["TZ": "Europe/Berlin"], code: 64,
      error: "occurs twice in Europe/Berlin", hint: "2025-10-26T02:30:00+02:00 or 2025-10-26T02:30:00+01:00"),
    Case(
      name: "a time that the clocks of the configured zone skip",
      arguments: ["verify", "--at", "2025-03-30 02:30"], environment: ["BACKUP_TIMEZONE": "Europe/Berlin"], code: 64,
      error: "does not exist: the clocks of Europe/Berlin skip it", hint: "2025-03-30T03:00:00+02:00"),
    Case(
      name: "no such folder of backups", arguments: ["list", "--backup-dir", "nowhere"], code: 4,
      error: "there is no backup folder nowhere", hint: "create it with holdfast create --backup-dir nowhere"),
    Case(
      name: "a restore that nobody confirms", arguments: ["restore", "latest"], code: 8,
      error: "a question is not possible here",
      hint: "--yes"),
    Case(
      name: "a removal that nobody confirms", arguments: ["delete", "latest"], code: 8,
      error: "a question is not possible here",
      hint: "--yes"),
    Case(
      name: "a restore over another file", arguments: ["restore", "latest", "--to", "key", "--yes"], code: 8,
      error: "key exists already, and --to never overwrites", hint: "name a path without a file"),
    Case(
      name: "a restore into a folder that is not there", arguments: ["restore", "latest", "--to", "a/b.db", "--yes"],
      code: 1, error: "there is no folder", hint: "create the folder first"),
    Case(
      name: "a wrong key", arguments: ["verify", "latest", "--key-file", "other"], code: 5,
      error: "the password or key does not open it", hint: "use the password or key that was set"),
    Case(
      name: "no key", arguments: ["verify", "latest"], environment: ["BACKUP_ENCRYPTION_KEY_FILE": ""], code: 5,
      error: "but there is neither", hint: "BACKUP_ENCRYPTION_PASSWORD"),
    Case(
      name: "a restore with a password where a key is needed", arguments: ["restore", "latest", "--yes"],
      environment: ["BACKUP_ENCRYPTION_KEY_FILE": "", "BACKUP_ENCRYPTION_PASSWORD": "wrong"], code: 5,
      error: "you gave a password, but it was stored with a key file", hint: "BACKUP_ENCRYPTION_KEY_FILE"),
    Case(
      name: "a restore with a wrong key", arguments: ["restore", "latest", "--yes", "--key-file", "other"], code: 5,
      error: "the password or key does not open it", hint: "use the password or key that was set"),
    Case(
      name: "a restore without a key", arguments: ["restore", "latest", "--yes"],
      environment: ["BACKUP_ENCRYPTION_KEY_FILE": ""], code: 5, error: "but there is neither",
      hint: "BACKUP_ENCRYPTION_PASSWORD"),
    Case(
      name: "a cleanup without a rule", arguments: ["cleanup"], code: 64, error: "cleanup has no rule",
      hint: "--keep N"),
    Case(
      name: "a cleanup that keeps none", arguments: ["cleanup", "--keep", "0"], code: 8,
      error: "these rules keep no backup",
      hint: "1"),
    Case(
      name: "a limit of none", arguments: ["list", "--limit", "0"], code: 64, error: "--limit must be", hint: "leave"),
  ]

  static let settings: [Case] = [
    Case(
      name: "a missing database", arguments: ["create", "--database", "gone.db"], code: 1,
      error: "there is no database gone.db", hint: "check the path"),
    Case(
      name: "a folder as database", arguments: ["create", "--database", "folder"], code: 1,
      error: "folder: it is a folder",
      hint: "--database names"),
    Case(
      name: "a file that is not a database", arguments: ["create", "--database", "text"], code: 1,
      error: "it is not a SQLite database",
      hint: "--database names"),
    Case(
      name: "no database named", arguments: ["create"], environment: ["DATABASE_URL": ""], code: 64,
      error: "no database is named", hint: "--database PATH"),
    Case(
      name: "an empty database flag", arguments: ["create", "--database", ""], code: 64, error: "--database is empty",
      hint: "name a database"),
    Case(
      name: "another database's URL", arguments: ["create"],
      environment: ["DATABASE_URL": "postgresql://user:secret@host/db"], code: 64,
      error: "DATABASE_URL is a postgresql URL, but only SQLite databases", hint: "sqlite:///relative.db"),
    Case(
      name: "a database in memory", arguments: ["create", "--database", "sqlite:///:memory:"], code: 64,
      error: "--database names no file", hint: "sqlite:///relative.db"),
    Case(
      name: "no password and no key", arguments: ["create"], environment: ["BACKUP_ENCRYPTION_KEY_FILE": ""], code: 5,
      error: "there is neither a password nor a key", hint: "holdfast init"),
    Case(
      name: "a key file that is not there", arguments: ["create", "--key-file", "none"], code: 5,
      error: "cannot read the key file none: no such file", hint: "holdfast init"),
    Case(
      name: "a key file that holds no key", arguments: ["create", "--key-file", "text"], code: 5,
      error: "text is not a key file", hint: "holdfast init"),
    Case(
      name: "two passwords", arguments: ["create"],
      environment: ["BACKUP_ENCRYPTION_PASSWORD": "a", "BACKUP_ENCRYPTION_PASSWORD_FILE": "text"], code: 64,
      error: "are both set", hint: "unset one"),
    Case(
      name: "a file in the place of the folder of backups", arguments: ["create", "--backup-dir", "text"], code: 64,
      error: "text is not a folder", hint: "--backup-dir"),
    Case(
      name: "a compression level that does not exist", arguments: ["create", "--compression-level", "10"], code: 64,
      error: "--compression-level 10 is out of range", hint: "1 (fast) to 9"),
    Case(
      name: "a cipher that does not exist", arguments: ["create", "--cipher", "rot13"], code: 64,
      error: "'rot13' is invalid",
      hint: "--help"),
    Case(
      name: "BACKUP_ENCRYPTION_ENABLED=maybe", arguments: ["create"],
      environment: ["BACKUP_ENCRYPTION_ENABLED": "maybe"],
      code: 64, error: "BACKUP_ENCRYPTION_ENABLED is \"maybe\", which is not true or false", hint: "true or false"),
    Case(
      name: "BACKUP_COMPRESSION_ENABLED=2", arguments: ["create"], environment: ["BACKUP_COMPRESSION_ENABLED": "2"],
      code: 64, error: "BACKUP_COMPRESSION_ENABLED is \"2\"", hint: "true or false"),
    Case(
      name: "BACKUP_VERIFY_AFTER_CREATE=x", arguments: ["create"], environment: ["BACKUP_VERIFY_AFTER_CREATE": "x"],
      code: 64, error: "BACKUP_VERIFY_AFTER_CREATE is \"x\"", hint: "true or false"),
    Case(
      name: "BACKUP_MAX_BACKUPS=abc", arguments: ["cleanup"], environment: ["BACKUP_MAX_BACKUPS": "abc"], code: 64,
      error: "BACKUP_MAX_BACKUPS is \"abc\", which is not a whole number of at least 1", hint: "a whole number"),
    Case(
      name: "BACKUP_RETENTION_DAYS=0", arguments: ["cleanup"], environment: ["BACKUP_RETENTION_DAYS": "0"], code: 64,
      error: "BACKUP_RETENTION_DAYS is \"0\"", hint: "a whole number of at least 1"),
    Case(
      name: "BACKUP_ENABLED=false", arguments: ["agent", "--once"], environment: ["BACKUP_ENABLED": "false"], code: 8,
      error: "BACKUP_ENABLED is false", hint: "set it to true"),
    Case(
      name: "an agent without a key", arguments: ["agent", "--once"], environment: ["BACKUP_ENCRYPTION_KEY_FILE": ""],
      code: 5,
      error: "there is neither a password nor a key", hint: "holdfast init"),
    Case(
      name: "a time without a unit", arguments: ["agent", "--debounce", "250"], code: 64, error: "'250' is invalid",
      hint: "--help"),
    Case(
      name: "no such command", arguments: ["restart"], code: 64,
      error: "unknown command 'restart'; did you mean 'restore'?", hint: "holdfast restore --help"),
    Case(
      name: "a command by the name it has elsewhere", arguments: ["snapshots"], code: 64,
      error: "unknown command 'snapshots'; did you mean 'list'?", hint: "holdfast help"),
    Case(
      name: "help for no command", arguments: ["help", "lst"], code: 64, error: "unknown command 'lst'",
      hint: "holdfast list --help"),
    Case(
      name: "a database named twice", arguments: ["create", "app.db", "--database", "other.db"], code: 64,
      error: "the database is named twice: app.db and --database other.db", hint: "leave one"),
    Case(
      name: "a command without -- before it", arguments: ["guard", "python3", "-c", "print(1)"], code: 64,
      error: "guard needs the command behind --",
      hint: "put -- before the command: holdfast guard -- python3 -c 'print(1)'"),
    Case(
      name: "a folder of backups in quotes", arguments: ["create"], environment: ["BACKUP_DIR": "\"/srv/backups\""],
      code: 64,
      error: "BACKUP_DIR begins and ends with a quotation mark", hint: "remove the quotes"),
    Case(
      name: "a database in quotes", arguments: ["list"], environment: ["DATABASE_URL": "'sqlite:///app.db'"], code: 64,
      error: "DATABASE_URL begins and ends with a quotation mark", hint: "remove the quotes"),
    Case(
      name: "a URL with an escape", arguments: ["create"], environment: ["DATABASE_URL": "sqlite:///my%20app.db"],
      code: 64, error: "holds a % with two digits", hint: "write sqlite:my app.db, or the path ./my%20app.db"),
  ]

  @Test("A command about backups refuses with its error, hint and exit code", arguments: points)
  func point(refusal: Case) throws {
    let bed = try CommandBed(rows: 20)
    try bed.folder.write("other", [UInt8](1...32))
    _ = try bed.create()
    try check(refusal, bed)
  }

  @Test("A command with wrong settings refuses with its error, hint and exit code", arguments: settings)
  func setting(refusal: Case) throws {
    let bed = try CommandBed(rows: 20)
    try bed.folder.write("text", Array("This is a text of more than one line,\nand no database at all.\n".utf8))
    try bed.python("import os, sys; os.mkdir(sys.argv[1])", bed.folder.path("folder"))
    try check(refusal, bed)
  }

  private func check(_ refusal: Case, _ bed: CommandBed) throws {
    let before = try FolderDigest.of(bed.folder.path)
    let result = try Shell.run(
      CommandBed.program, refusal.arguments, environment: bed.environment(refusal.environment), in: bed.folder.path)
    let lines = result.stderr.split(separator: "\n")
    try #require(lines.count >= 2, "\(result.stderr)")
    #expect(result.status == refusal.code, "\(result.stderr)")
    #expect(lines[0].hasPrefix("holdfast: error: ") && lines[0].contains(refusal.error), "\(result.stderr)")
    #expect(lines[1].hasPrefix("holdfast: hint: ") && lines[1].contains(refusal.hint), "\(result.stderr)")
    #expect(result.stderr.utf8.count < 1000 && !result.stderr.contains("secret"))
    let differences = before.differences(to: try FolderDigest.of(bed.folder.path))
    #expect(differences.filter { !Self.isMadeOnTheWay($0) } == [])
  }

  /// A backup folder may be created before a file proves to be no database; it contains no backups.
  private static func isMadeOnTheWay(_ difference: String) -> Bool {
    difference.firstMatch(of: #/^added backups(/\.metadata|/\.state(/lock)?)? \(0 bytes\)$/#) != nil
  }

  @Test("A refused restore with --json prints a document on standard output")
  func document() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    for arguments in [["--to", "key", "--yes"], []] {
      let result = try Shell.run(
        CommandBed.program, ["restore", "latest", "--json"] + arguments, environment: bed.environment(),
        in: bed.folder.path)
      #expect(result.status == 8 && result.stderr == "")
      let refused = try decode(Refusal.self, result.stdout).refused
      #expect(!refused.reason.isEmpty && !refused.hint.isEmpty)
    }
  }

  /// Root may write everywhere, so the program runs as another user if root runs these tests.
  @Test("A read-only backup folder and an unreadable database are refused", .enabled(if: Unprivileged.isPossible))
  func permissions() throws {
    let bed = try CommandBed(rows: 20)
    try bed.python(
      """
      import os, sys
      os.chmod(sys.argv[1], 0o755)
      os.mkdir(sys.argv[1] + "/backups", 0o555)
      os.chmod(sys.argv[1] + "/app.db", 0o644)
      os.chmod(sys.argv[1] + "/key", 0o644)
      """, bed.folder.path)
    let readOnly = try Unprivileged.run(bed, ["create"])
    #expect(readOnly.status == 1)
    #expect(
      readOnly.stderr.contains("error: cannot create the folder ") && readOnly.stderr.contains("permission denied"))
    #expect(readOnly.stderr.contains("\nholdfast: hint: "))
    chmod(bed.database, 0o600)
    guard geteuid() == 0 else { return }
    let unreadable = try Unprivileged.run(bed, ["create", "--backup-dir", "/tmp/nowhere"])
    #expect(unreadable.status == 1)
    #expect(unreadable.stderr.contains("error: cannot open ") && unreadable.stderr.contains("permission denied"))
  }
}
