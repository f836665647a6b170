import BackupPolicy
import TOML
import TestSupport
import Testing

@testable import holdfast

@Suite(".env files as people write them", .ownThread)
struct EnvironmentFileTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var text: String
    var value: String?
    var flaw: EnvironmentFileParser.Flaw?
    var testDescription: String { text }

    init(_ text: String, _ value: String?, _ flaw: EnvironmentFileParser.Flaw? = nil) {
      (self.text, self.value, self.flaw) = (text, value, flaw)
    }
  }

  static let cases = [
    Case("A=b", "b"), Case("A=", ""), Case("A", nil), Case("export A=b", "b"), Case("export\tA = b ", "b"),
    Case("  A=b", "b"), Case("A = b c", "b c"), Case("A=b # c", "b"), Case("A=b\t# c", "b"), Case("A=b#c", "b#c"),
    Case("A=#c", "#c"), Case("A= # c", ""), Case("A='b # c'", "b # c"), Case("A=\"b # c\" # d", "b # c"),
    Case("A='b'\t", "b"), Case("A='b\\n'", "b\\n"), Case("A=\"b\\n\\t\\r\\\"\\\\\\$\\q\"", "b\n\t\r\"\\$\\q"),
    Case("A=\"b\nc\"", "b\nc"), Case("A='b\r\nc'", "b\r\nc"), Case("A=b\r\nB=c", "b"), Case("A='b'\r\n", "b"),
    Case("A=b\r", "b"), Case("\u{FEFF}A=b", "b"), Case("A=größe €", "größe €"), Case("A=it's", "it's"),
    Case("A=b=c", "b=c"), Case("A=\"\"", ""), Case("A='", "'", .unclosedQuote), Case("A=\"b", "\"b", .unclosedQuote),
    Case("A='b'c", "b", .textAfterQuote), Case("A='b'#c", "b", .textAfterQuote), Case("A=${B}", "${B}", .substitution),
    Case("A=$(b)", "$(b)", .substitution), Case("A=\"x${B}\"", "x${B}", .substitution), Case("A='${B}'", "${B}"),
    Case("A=pa$word$", "pa$word$"), Case("A=\"\\${B}\"", "${B}"), Case("A=0 2 * * *  # Daily at 2 AM", "0 2 * * *"),
    Case("A=\"b\\", "\"b\\", .unclosedQuote),
  ]

  @Test("Each line gives its value, or the flaw that makes it invalid", arguments: cases)
  func lines(line: Case) throws {
    let entry = try #require(EnvironmentFileParser.entries(Array(line.text.utf8)).first)
    #expect(entry.name == "A")
    #expect(entry.value.map { String(decoding: $0, as: UTF8.self) } == line.value)
    #expect(entry.flaw == line.flaw)
  }

  @Test(
    "A line that is not an assignment is skipped",
    arguments: ["", "\n\n", "# A=b", "   # A=b", "=b", "[section]", "\u{0}\u{1}"])
  func nothing(text: String) {
    #expect(EnvironmentFileParser.entries(Array(text.utf8)).isEmpty)
  }

  @Test("Lines and columns match an editor's, also after a value of several lines")
  func positions() {
    let text = "\u{FEFF}# é\r\nA=\"ü\r\nx\"\r\n  export BÖ=1\nC = 2\n"
    let entries = EnvironmentFileParser.entries(Array(text.utf8))
    #expect(entries.map(\.name) == ["A", "B", "C"])
    #expect(entries.map(\.position) == [(2, 1), (4, 10), (5, 1)].map { FilePosition(line: $0.0, column: $0.1) })
    #expect(entries[2].valuePosition == FilePosition(line: 5, column: 5))
  }

  /// The section "Configuration" of the original service's documentation.
  static let seed = """
    # Database
    DATABASE_URL=sqlite:///./data/app.db

    # Backup Configuration
    BACKUP_DIR=./data/backups
    BACKUP_ENCRYPTION_PASSWORD=your_secure_password_here  # Change this!

    # Scheduling (optional)
    BACKUP_ENABLED=true
    BACKUP_SCHEDULE=0 2 * * *  # Daily at 2 AM
    BACKUP_RETENTION_DAYS=30
    BACKUP_MAX_BACKUPS=30
    BACKUP_ENCRYPTION_ENABLED=true
    BACKUP_COMPRESSION_ENABLED=true
    BACKUP_VERIFY_AFTER_CREATE=true
    """

  @Test("The original service's file works unchanged")
  func originalService() throws {
    let bed = try ConfigurationBed()
    let configuration = try bed.configuration(env: Self.seed)
    #expect(configuration.problems == [])
    let database = try #require(try configuration.database())
    #expect(database.path == bed.folder.path("./data/app.db"))
    #expect(database.backupDir == bed.folder.path("./data/backups"))
    let settings = database.settings
    #expect(try settings.schedules().map(\.text) == ["0 2 * * *"])
    #expect(try settings.integer(.retentionDays) == 30 && settings.integer(.maxBackups) == 30)
    #expect(try settings.boolean(.verifyAfterCreate) && settings.boolean(.enabled))
    let password = try #require(configuration.envFile?.layer.password)
    #expect(password.withBytes { Array($0) } == Array("your_secure_password_here".utf8))
  }

  @Test("create guards a database with this file and no other settings")
  func originalServiceAtWork() throws {
    let bed = try CommandBed(rows: 20)
    try bed.python("import os, sys; os.mkdir(sys.argv[1])", bed.folder.path("data"))
    try bed.makeDatabase(at: bed.folder.path("data/app.db"), rows: 30)
    try bed.folder.write(".env", Array(Self.seed.utf8))
    let nothing = ["DATABASE_URL": "", "BACKUP_ENCRYPTION_KEY_FILE": ""]
    let point = try decode(Point.self, bed.succeed("create", "--json", environment: nothing))
    #expect(point.encrypted && point.verified && point.totalRecords == 30)
    let password = ["BACKUP_ENCRYPTION_PASSWORD": "your_secure_password_here"]
    try bed.succeed(
      "verify", "latest", "--env-file", "/dev/null", "--backup-dir", "data/backups",
      environment: nothing.merging(password) { $1 })
  }

  @Test("The last of two lines counts, with a warning; an empty value is unset; other programs' lines are ignored")
  func duplicates() throws {
    let bed = try ConfigurationBed()
    let configuration = try bed.configuration(
      env: "BACKUP_MODE=hybrid\nBACKUP_MODE=change\nBACKUP_DIR=\nSECRET_KEY=\"${X}\nDEBUG\nAPI: x\n")
    #expect(bed.problems(configuration) == [".env:2:1: BACKUP_MODE is also in line 1, and this one counts"])
    #expect(configuration.problems.map(\.severity) == [.warning])
    #expect(try configuration.settings().choice(.mode) == TriggerMode.change)
    #expect(configuration.settings().given(.backupDir) == nil)
  }

  @Test("A password in a file that everybody may read gives a warning", arguments: [0o644, 0o604, 0o640, 0o600])
  func permissions(mode: Int) throws {
    let bed = try ConfigurationBed()
    var file = EnvironmentFile(Array("BACKUP_ENCRYPTION_PASSWORD='secret'".utf8), path: bed.env)
    file.checkPermissions(UInt32(mode))
    #expect(file.problems.count == (mode & 0o004 == 0 ? 0 : 1))
    #expect(file.problems.allSatisfy { $0.severity == .warning && $0.hint == "chmod 600 \(bed.env)" })
  }
}
