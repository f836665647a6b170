import TestSupport
import Testing

@testable import holdfast

/// What env files, other programs' variables and habits do to a command.
@Suite("Commands in the surroundings of other programs", .ownThread)
struct SurroundingsTests {
  @Test("A password in quotes is used as it is, with a warning")
  func quotedPassword() throws {
    let bed = try CommandBed(rows: 20)
    let secret = ["BACKUP_ENCRYPTION_KEY_FILE": "", "BACKUP_ENCRYPTION_PASSWORD": "\"secret\""]
    let created = try bed.run("create", environment: secret)
    #expect(created.status == 0)
    #expect(
      created.stderr.contains("BACKUP_ENCRYPTION_PASSWORD begins and ends with a quotation mark"), "\(created.stderr)")
    #expect(try bed.run("verify", "latest", environment: secret).status == 0)
    #expect(
      try bed.run("verify", "latest", environment: secret.merging(["BACKUP_ENCRYPTION_PASSWORD": "secret"]) { $1 })
        .status == 5)
  }

  @Test(
    "The URL of an application's Postgres beside [[databases]] is left alone, and never shown",
    arguments: ["postgres://app:hush@host/app", "\"postgres://app:hush@host/app\"", "mysql2://app:${HUSH}@host/app"])
  func foreignURL(url: String) throws {
    let bed = try CommandBed(rows: 20)
    try bed.folder.write("holdfast.toml", Array("[[databases]]\npath = \"app.db\"\nbackup_dir = \"backups\"\n".utf8))
    for place in ["environment", ".env"] {
      let environment = ["DATABASE_URL": place == ".env" ? "" : url]
      if place == ".env" { try bed.folder.write(".env", Array("DATABASE_URL=\(url)\n".utf8)) }
      #expect(try bed.succeed("create", environment: environment).hasPrefix("Created "))
      for command in [
        ["list"], ["config", "show"], ["config", "check"], ["agent", "--once"], ["list", "--database", "app"],
      ] {
        let result = try Shell.run(
          CommandBed.program, command, environment: bed.environment(environment), in: bed.folder.path)
        #expect(result.status == 0, "\(command): \(result.stderr)")
        #expect(!(result.stdout + result.stderr).lowercased().contains("hush"), "\(command)")
      }
      let check = try bed.run("config", "check", environment: environment)
      #expect(check.stderr.contains(" URL, which is another program's"), "\(check.stderr)")
    }
  }

  @Test("Without another database it is an error, and its password in no message")
  func foreignURLAlone() throws {
    let bed = try CommandBed(rows: 20)
    for command in [["list"], ["config", "check"], ["agent"]] {
      let result = try Shell.run(
        CommandBed.program, command,
        environment: bed.environment(["DATABASE_URL": "postgres://app:${HUSH}hush@host/app"]), in: bed.folder.path)
      #expect(result.status == 64 && result.stderr.contains("DATABASE_URL is a postgres URL"), "\(result.stderr)")
      #expect(!(result.stdout + result.stderr).lowercased().contains("hush"))
    }
  }

  @Test("Hints carry the caller's options on, so that they can be pasted")
  func hints() throws {
    let bed = try CommandBed(rows: 20)
    try bed.succeed("create", "app.db", "--backup-dir", "my backups", environment: ["DATABASE_URL": ""])
    let result = try bed.run(
      "restore", "--database=app.db", "--backup-dir", "my backups", environment: ["DATABASE_URL": ""])
    #expect(result.status == 64)
    #expect(
      result.stderr.contains(
        "holdfast restore --database app.db --backup-dir 'my backups' latest takes the newest; "
          + "holdfast list --database app.db --backup-dir 'my backups' shows the IDs"), "\(result.stderr)")
    let options = CallerOptions(["list", "--config", "x.toml", "--database", "a b", "--", "--database", "c"])
    #expect(options.applied(to: "holdfast list shows it") == "holdfast list --database 'a b' --config x.toml shows it")
    #expect(
      options.applied(to: "run holdfast config check") == "run holdfast config check --database 'a b' --config x.toml")
    for text in ["holdfast schedule '* * * * *'", "/etc/holdfast list", "holdfast help lists them", "holdfast"] {
      #expect(options.applied(to: text) == text)
    }
    #expect(options.applied(to: "holdfast init --config y") == "holdfast init --database 'a b' --config y")
  }

  @Test("Tags come with spaces or commas between them")
  func tags() throws {
    let bed = try CommandBed(rows: 20)
    let text = try bed.succeed("create", "--tags", "a,b", "c, d", ",", "--json")
    #expect(try decode(Point.self, text).tags == ["a", "b", "c", "d"])
  }

  @Test("A usage fits a line, common options stand apart, and the first page groups the commands")
  func help() throws {
    let bed = try CommandBed(rows: 1)
    let list = try bed.succeed("help", "list")
    #expect(list.contains("\n\nUSAGE: holdfast list [<options>]\n") && list.contains("\n\nCOMMON OPTIONS:\n"))
    #expect(try bed.succeed("show", "--help").contains("\nUSAGE: holdfast show [<id>] [<options>]\n"))
    let page = try bed.succeed("help")
    for heading in ["EVERY DAY", "AFTER AN ACCIDENT", "HOUSEKEEPING", "SETTING UP", "SETTINGS", "EXIT CODES"] {
      #expect(page.contains("\n\(heading):\n"), "\(heading)")
    }
    #expect(try page == bed.succeed() && page == bed.succeed("--help"))
    for shell in ["bash", "zsh", "fish"] { #expect(try bed.succeed("completion", shell).contains("holdfast")) }
    let version = try bed.succeed("version")
    #expect(try version == bed.succeed("-V") && version == bed.succeed("--version"))
  }
}
