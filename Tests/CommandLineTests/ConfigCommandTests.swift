import Glibc
import TestSupport
import Testing

/// `holdfast config`, as people and scripts see it.
@Suite("The config command", .ownThread)
struct ConfigCommandTests {
  private static let several = """
    backup_dir = "store"
    debounce = "2s"

    [[databases]]
    path = "app.db"
    keep_last = 5

    [[databases]]
    path = "shops/*/shop.db"
    debounce = "100ms"
    """

  private func bed() throws -> CommandBed {
    let bed = try CommandBed(rows: 20)
    try bed.python(
      """
      import os, sys
      for name in "north", "south":
          os.makedirs(f"{sys.argv[1]}/shops/{name}")
      """, bed.folder.path)
    for name in ["north", "south"] { try bed.makeDatabase(at: bed.folder.path("shops/\(name)/shop.db"), rows: 20) }
    try bed.folder.write("holdfast.toml", Array(Self.several.utf8))
    return bed
  }

  private let noDatabase = ["DATABASE_URL": ""]

  @Test("config show lists every setting with its value and source")
  func show() throws {
    let bed = try bed()
    try bed.folder.write(".env", Array("BACKUP_ENCRYPTION_PASSWORD=hidden\nexport BACKUP_MODE='change'\n".utf8))
    let output = try bed.succeed(
      "config", "show", "--max-delay", "9s", environment: noDatabase.merging(["BACKUP_CATCH_UP": "no"]) { $1 })
    #expect(
      output.replacing(bed.folder.path, with: "DIR") == """
        database             -                            default: none
        backup_dir           store                        holdfast.toml line 1 column 14
        encryption_enabled   true                         default
        cipher               aes-256-gcm                  default
        key_file             DIR/key  environment variable BACKUP_ENCRYPTION_KEY_FILE
        password_file        -                            default: none
        password             (set)                        .env line 1
        compression_enabled  true                         default
        compression_level    2                            default
        enabled              true                         default
        mode                 change                       .env line 2
        debounce             2s                           holdfast.toml line 2 column 12
        max_delay            9s                           flag --max-delay
        min_interval         1s                           default
        poll_interval        30s                          default
        schedule             -                            default: none
        timezone             UTC                          default: the host's
        quiet_hours          -                            default: none
        skip_unchanged       false                        default
        catch_up             no                           environment variable BACKUP_CATCH_UP
        verify_after_create  false                        default
        keep_last            -                            default: all
        keep_hourly          -                            default: none
        keep_daily           -                            default: none
        keep_weekly          -                            default: none
        keep_monthly         -                            default: none
        keep_yearly          -                            default: none
        keep_within          -                            default: none
        keep_within_hourly   -                            default: none
        keep_within_daily    -                            default: none
        keep_within_weekly   -                            default: none
        keep_within_monthly  -                            default: none
        keep_within_yearly   -                            default: none
        keep_tag             -                            default: none
        retention_days       -                            default: all
        max_backups          -                            default: all
        thin                 true                         default
        anomaly_hold         30d                          default
        min_free_space       -                            default: off
        target               -                            default: none
        drill.schedule       -                            default: none
        drill.max_age        -                            default: twice the longest pause of drill.schedule; never without a schedule
        heartbeat_url        -                            default: none
        stop_grace           10s                          default
        log_level            -                            default: info for the agent, else warning
        log_format           auto                         default
        metrics_file         -                            default: none

        [app]
        path                 app.db                       holdfast.toml line 5 column 8
        backup_dir           store/app                    holdfast.toml line 1 column 14
        keep_last            5                            holdfast.toml line 6 column 13

        [north]
        path                 shops/north/shop.db          holdfast.toml line 9 column 8
        backup_dir           store/north                  holdfast.toml line 1 column 14
        debounce             100ms                        holdfast.toml line 10 column 12

        [south]
        path                 shops/south/shop.db          holdfast.toml line 9 column 8
        backup_dir           store/south                  holdfast.toml line 1 column 14
        debounce             100ms                        holdfast.toml line 10 column 12

        """)
    #expect(!output.contains("hidden"))
  }

  private struct Listing: Decodable {
    struct Source: Decodable {
      var kind: String
      var name: String?
      var line: Int?
    }
    struct Setting: Decodable {
      var key: String
      var value: String?
      var source: Source
    }
    struct Database: Decodable {
      var name: String
      var settings: [Setting]
    }
    var settings: [Setting]
    var databases: [Database]
  }

  @Test("config show --json lists the same settings for scripts")
  func document() throws {
    let bed = try bed()
    let listing = try decode(Listing.self, bed.succeed("config", "show", "--json", environment: noDatabase))
    let debounce = try #require(listing.settings.first { $0.key == "debounce" })
    #expect(debounce.value == "2s" && debounce.source.kind == "file" && debounce.source.line == 2)
    #expect(listing.databases.map(\.name) == ["app", "north", "south"])
    let one = try decode(
      Listing.self, bed.succeed("config", "show", "--json", "--database", "south", environment: noDatabase))
    #expect(one.databases.isEmpty && one.settings.first { $0.key == "debounce" }?.value == "100ms")
    #expect(one.settings.first { $0.key == "backup_dir" }?.value == "store/south")
  }

  @Test("config check accepts a sound configuration and reports a warning")
  func check() throws {
    let bed = try bed()
    #expect(try bed.succeed("config", "check", environment: noDatabase) == "✓ holdfast.toml is sound\n")
    try bed.folder.write("holdfast.toml", Array("debounce = \"9s\"\ndatabase = \"gone.db\"\n".utf8))
    let result = try bed.run("config", "check", environment: noDatabase)
    #expect(result.status == 0 && result.stdout == "✓ holdfast.toml is sound, with 2 warnings above\n")
    #expect(
      result.stderr == """
        holdfast: warning: holdfast.toml:1:12: debounce makes debounce (9s) longer than max_delay (5s), which takes precedence
        holdfast: hint: set max_delay to at least debounce
        holdfast: warning: holdfast.toml:2:12: database names gone.db, which does not exist
        holdfast: hint: check the path; the agent waits for it

        """)
  }

  private struct Verdict: Decodable {
    struct Problem: Decodable {
      var severity: String
      var message: String
      var file: String?
      var line: Int?
      var column: Int?
    }
    var files: [String]
    var sound: Bool
    var problems: [Problem]
  }

  @Test("config check --json prints one document in every case")
  func checkDocument() throws {
    let bed = try bed()
    try bed.folder.write("holdfast.toml", Array("mode = 1\n".utf8))
    let result = try bed.run("config", "check", "--json")
    let verdict = try decode(Verdict.self, result.stdout)
    #expect(result.status == 64 && result.stderr == "" && !verdict.sound && verdict.files == ["holdfast.toml"])
    let problem = try #require(verdict.problems.first)
    #expect(problem.severity == "error" && problem.line == 1 && problem.column == 8)
  }

  @Test("If several databases are configured, a command selects one by name or path, and each has its own folder")
  func several() throws {
    let bed = try bed()
    let refusal = try bed.run("create", environment: noDatabase)
    #expect(refusal.status == 64)
    #expect(
      refusal.stderr == """
        holdfast: error: 3 databases are configured, but this command needs one
        holdfast: hint: add --database with one of the names: app, north, south; commands that work on all of them have --all

        """)
    try bed.succeed("create", "--database", "north", environment: noDatabase)
    try bed.succeed("create", "--database", "./shops/../shops/south/shop.db", environment: noDatabase)
    let list = try decode(
      [Point].self, bed.succeed("list", "--json", "--backup-dir", "store/south", "--database", "south"))
    #expect(list.map(\.databasePath) == [bed.folder.path("shops/south/shop.db")])
    #expect(try bed.run("list", "--database", "nroth", environment: noDatabase).stderr.contains("did you mean north?"))
    let agent = try bed.run("agent", "--once", environment: noDatabase)
    #expect(agent.status == 0 && ["app", "north", "south"].allSatisfy { agent.stdout.contains("[\($0)] ") })
    let folder = try bed.run("agent", "--backup-dir", "x", environment: noDatabase)
    #expect(folder.status == 64 && folder.stderr.contains("--backup-dir is the folder of one database"))
    // The environment's database alone counts, and the output says so.
    let alone = try bed.run("create")
    #expect(alone.status == 0 && alone.stderr.contains("the [[databases]] of holdfast.toml are ignored"))
  }

  @Test("A settings file is found by flag, by variable, here, in the user's folder or in the host's")
  func places() throws {
    let bed = try CommandBed(rows: 20)
    func level(_ arguments: String..., environment: [String: String] = [:]) throws -> String {
      let result = try Shell.run(
        CommandBed.program, ["config", "show"] + arguments, environment: bed.environment(environment),
        in: bed.folder.path)
      #expect(result.status == 0, "\(result.stderr)")
      let line = result.stdout.split(separator: "\n").first { $0.hasPrefix("compression_level") }
      return String(line?.split(separator: " ")[1] ?? "")
    }
    try bed.python("import os, sys; os.makedirs(sys.argv[1])", bed.folder.path("config/holdfast"))
    try bed.folder.write("config/holdfast/holdfast.toml", Array("compression_level = 3".utf8))
    #expect(try level() == "3")
    try bed.folder.write("holdfast.toml", Array("compression_level = 4".utf8))
    #expect(try level() == "4")
    try bed.folder.write("5.toml", Array("compression_level = 5".utf8))
    #expect(try level(environment: ["HOLDFAST_CONFIG": "5.toml"]) == "5")
    #expect(try level("--config", "5.toml", environment: ["HOLDFAST_CONFIG": "gone"]) == "5")
    #expect(try level("--config", "/dev/null") == "2")
    try bed.folder.write("6.env", Array("BACKUP_COMPRESSION_LEVEL=6".utf8))
    #expect(try level("--env-file", "6.env") == "6")
    #expect(try level("--env-file", "6.env", environment: ["BACKUP_COMPRESSION_LEVEL": "7"]) == "7")
    // A common name for the folder of a virtual environment.
    try bed.python("import os, sys; os.mkdir(sys.argv[1])", bed.folder.path(".env"))
    #expect(try level() == "4")
  }

  @Test("Paths in a file are relative to its folder, and ~/ is the home folder")
  func paths() throws {
    let bed = try CommandBed(rows: 20)
    try bed.python(
      "import os, sys; os.makedirs(sys.argv[1] + '/etc/sub'); os.mkdir(sys.argv[1] + '/home')", bed.folder.path)
    try bed.makeDatabase(at: bed.folder.path("etc/sub/x.db"), rows: 20)
    try bed.folder.write(
      "etc/holdfast.toml",
      Array("database = \"sqlite:///sub/x.db\"\nbackup_dir = \"~/b\"\nkey_file = \"../key\"\n".utf8))
    let environment = ["DATABASE_URL": "", "BACKUP_ENCRYPTION_KEY_FILE": ""]
    let point = try decode(
      Point.self, bed.succeed("create", "--json", "--config", "etc/holdfast.toml", environment: environment))
    #expect(point.databasePath == bed.folder.path("etc/sub/x.db") && point.encrypted)
    try bed.succeed("verify", "latest", "--database", "etc/sub/x.db", "--backup-dir", "home/b")
  }
}
