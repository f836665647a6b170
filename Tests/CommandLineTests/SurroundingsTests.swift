import Glibc
import TestSupport
import Testing

@testable import holdfast

/// The effect of `.env` files, other programs' variables and habits on a command.
@Suite("Commands in the surroundings of other programs", .ownThread)
struct SurroundingsTests {
  @Test("A file beyond the limit of file sizes gives an error with a hint and leaves nothing behind")
  func fileSize() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.python(
      """
      import sqlite3, sys
      c = sqlite3.connect(sys.argv[1])
      c.execute('create table big(a)'); c.execute('insert into big values(randomblob(900000))'); c.commit()
      """, bed.database)
    let result = try Shell.run(
      "/bin/bash", ["-c", "ulimit -f 200; exec \"$@\"", "x", CommandBed.program, "create"],
      environment: bed.environment(), in: bed.folder.path)
    #expect(result.status == 7 && result.stderr.contains("ulimit -f"), "\(result.status) \(result.stderr)")
    let left = try bed.python(
      "import os, sys; print([x for x in os.listdir(sys.argv[1]) if x[0] != '.' or 'tmp' in x])", bed.backups)
    #expect(left.hasPrefix("[]"), "\(left)")
    // A command that guard starts dies of it as it would without holdfast.
    let child = try bed.run(
      "guard", "--", "sh", "-c",
      "test $((0x$(sed -n 's/^SigIgn:[[:space:]]*//p' /proc/self/status) & 0x1000000)) = 0")
    #expect(child.status == 0, "\(child.stderr)")
  }

  @Test(
    "If the agent may not start its threads, it reports that and ends",
    .enabled(if: geteuid() == 0 && Unprivileged.isPossible, "a limit of threads binds no root"))
  func threads() throws {
    let bed = try CommandBed(rows: 20)
    let user = 64_391
    let result = try Shell.run(
      "/usr/bin/timeout",
      [
        "20", "setpriv", "--reuid", "\(user)", "--regid", "\(user)", "--clear-groups", "bash", "-c",
        "ulimit -u 5; exec \"$@\"", "x", CommandBed.program, "agent",
      ], environment: bed.environment(), in: "/")
    #expect(result.status == 1 && result.stderr.contains("threads"), "\(result.status) \(result.stderr)")
  }

  @Test("A damaged database is refused with advice if it cannot be read, else kept without invented figures")
  func damagedDatabase() throws {
    let bed = try CommandBed(rows: 20)
    let script = """
      import sys
      with open(sys.argv[1], "r+b") as file:
          if sys.argv[2] == "schema":
              file.seek(100)
              file.write(b"ww")
          else:
              file.truncate(file.seek(0, 2) - 4096)
      """
    _ = try bed.value("PRAGMA wal_checkpoint(TRUNCATE)")
    _ = try bed.python(script, bed.database, "schema")
    let created = try bed.run("create")
    #expect(created.status == 0 && !created.stdout.contains("Records"), "\(created)")
    let verified = try bed.run("verify", "latest")
    #expect(verified.stdout.contains("the database in it is flawed"), "\(verified)")
    _ = try bed.python(script, bed.database, "size")
    let refused = try bed.run("create")
    #expect(refused.status == 1 && refused.stderr.contains("is malformed"), "\(refused)")
    #expect(refused.stderr.contains("hint: keep a copy of the file and its -wal"), "\(refused)")
  }

  @Test("A password in quotes is used unchanged, with a warning")
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
    "An application's Postgres URL beside [[databases]] is ignored and never shown",
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
      #expect(check.stderr.contains(" URL of another program"), "\(check.stderr)")
    }
  }

  @Test("Without another database a Postgres URL is an error, and no message shows its password")
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

  @Test("latest reports which newer backup it skips, and why")
  func passedOver() throws {
    let bed = try CommandBed(rows: 20)
    let first = try bed.create()
    let second = try bed.create()
    let path = "backups/.metadata/\(second).json"
    let metadata = String(decoding: try bed.folder.read(path) ?? [], as: UTF8.self)
    try bed.folder.write(
      path, Array(metadata.replacing(#/"status" : "\w+"/#, with: "\"status\" : \"failed\"").utf8))
    let result = try bed.run("restore", "latest", "--to", "copy.db", "--yes")
    #expect(result.status == 0, "\(result.stderr)")
    #expect(
      result.stderr.contains("\(second) is newer than \(first) and was skipped: it failed"), "\(result.stderr)")
    #expect(result.stderr.contains("holdfast verify \(second)"), "\(result.stderr)")
  }

  @Test("Two databases with names that are equal by Unicode are configured side by side")
  func spellings() throws {
    let bed = try CommandBed(rows: 20)
    let paths = ["caf\u{e9}.db", "cafe\u{301}.db"]
    for path in paths { try bed.makeDatabase(at: bed.folder.path(path), rows: 2) }
    let tables = paths.map { "[[databases]]\npath = \"\($0)\"\n" }.joined()
    try bed.folder.write("holdfast.toml", Array(tables.utf8))
    let check = try Shell.run(
      CommandBed.program, ["config", "check"], environment: bed.environment(["DATABASE_URL": ""]), in: bed.folder.path)
    #expect(check.status == 0, "\(check.stderr)")
    try bed.folder.write("holdfast.toml", Array((tables + "[[databases]]\npath = \"\(paths[1])\"\n").utf8))
    let twice = try Shell.run(
      CommandBed.program, ["config", "check"], environment: bed.environment(["DATABASE_URL": ""]), in: bed.folder.path)
    #expect(twice.status == 64 && twice.stderr.contains("which line 4 also names"), "\(twice.stderr)")
  }

  @Test("Hints repeat the caller's options, so that they can be pasted")
  func hints() throws {
    let bed = try CommandBed(rows: 20)
    try bed.succeed("create", "app.db", "--backup-dir", "my backups", environment: ["DATABASE_URL": ""])
    let result = try bed.run(
      "restore", "--database=app.db", "--backup-dir", "my backups", environment: ["DATABASE_URL": ""])
    #expect(result.status == 64)
    #expect(
      result.stderr.contains(
        "holdfast restore --database app.db --backup-dir 'my backups' latest selects the newest; "
          + "holdfast list --database app.db --backup-dir 'my backups' shows the IDs"), "\(result.stderr)")
    let options = CallerOptions(["list", "--config", "x.toml", "--database", "a b", "--", "--database", "c"])
    #expect(options.applied(to: "holdfast list shows it") == "holdfast list --database 'a b' --config x.toml shows it")
    #expect(
      options.applied(to: "run holdfast config check") == "run holdfast config check --database 'a b' --config x.toml")
    for text in ["holdfast schedule '* * * * *'", "/etc/holdfast list", "holdfast help lists them", "holdfast"] {
      #expect(options.applied(to: text) == text)
    }
    let folder = CallerOptions(["list", "--backup-dir", "bk"])
    #expect(
      folder.applied(to: "create it with holdfast create, or name another one with --backup-dir")
        == "create it with holdfast create --backup-dir bk, or name another one with --backup-dir")
    #expect(
      folder.applied(to: "holdfast list --backup-dir x, then holdfast verify")
        == "holdfast list --backup-dir x, then holdfast verify --backup-dir bk")
    #expect(options.applied(to: "holdfast init --config y") == "holdfast init --database 'a b' --config y")
  }

  @Test("Tables are restored to a new file without a question, and never to an existing one")
  func tablesToNewFile() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    let restore = ["restore", "latest", "--table", "entries", "--to", "new.db"]
    let program = CommandBed.program
    let first = try Shell.run(program, restore, environment: bed.environment([:]), in: bed.folder.path)
    #expect(first.status == 0, "\(first.stderr)")
    let again = try Shell.run(program, restore, environment: bed.environment([:]), in: bed.folder.path)
    #expect(again.status == 8, "\(again.stderr)")
  }

  @Test("An unknown command of config is reported with the nearest one")
  func unknownPart() throws {
    let bed = try CommandBed(rows: 1)
    let near = try bed.run("config", "chek")
    #expect(near.status == 64 && near.stderr.contains("did you mean 'config check'?"), "\(near.stderr)")
    let far = try bed.run("help", "config", "bogus")
    #expect(far.status == 64 && far.stderr.contains("; there are 'config check' and 'config show'\n"), "\(far.stderr)")
    #expect(try bed.run("help", "config", "show").status == 0)
  }

  @Test("Tags may be separated by spaces or commas")
  func tags() throws {
    let bed = try CommandBed(rows: 20)
    let text = try bed.succeed("create", "--tags", "a,b", "c, d", ",", "--json")
    #expect(try decode(Point.self, text).tags == ["a", "b", "c", "d"])
  }

  @Test("A usage fits one line, common options are a group, and the first page groups the commands")
  func help() throws {
    let bed = try CommandBed(rows: 1)
    let list = try bed.succeed("help", "list")
    #expect(list.contains("\n\nUSAGE: holdfast list [<options>]\n") && list.contains("\n\nCOMMON OPTIONS:\n"))
    #expect(try bed.succeed("show", "--help").contains("\nUSAGE: holdfast show [<id>] [<options>]\n"))
    let page = try bed.succeed("help")
    for heading in ["EVERY DAY", "AFTER AN ACCIDENT", "CHECKS", "SET-UP", "EXAMPLES"] {
      #expect(page.contains("\n\(heading):\n"), "\(heading)")
    }
    #expect(try page == bed.succeed() && page == bed.succeed("--help"))
    for shell in ["bash", "zsh", "fish"] { #expect(try bed.succeed("completion", shell).contains("holdfast")) }
    let version = try bed.succeed("version")
    #expect(try version == bed.succeed("-V") && version == bed.succeed("--version"))
  }

  @Test("The error for a wrong key names the key tried and the key ignored")
  func keySource() throws {
    let bed = try CommandBed(rows: 20)
    let standard = ["BACKUP_ENCRYPTION_KEY_FILE": ""]
    try bed.succeed("init", environment: standard)
    _ = try bed.create(standard)
    let wrong = try bed.run(
      "create", environment: ["BACKUP_ENCRYPTION_KEY_FILE": "", "BACKUP_ENCRYPTION_PASSWORD": "left over"])
    #expect(wrong.status == 5)
    let place =
      "the password of environment variable BACKUP_ENCRYPTION_PASSWORD, which takes precedence over the key file "
    #expect(wrong.stderr.contains("(tried: \(place)\(bed.folder.path)/config/holdfast/key)"), "\(wrong.stderr)")
    let other = try bed.run("verify", "latest", "--key-file", "key", environment: standard)
    #expect(other.status == 5 && other.stderr.contains("(tried: the key file of flag --key-file)"), "\(other.stderr)")
  }

  @Test("A settings file that every user can write is refused unless it is named")
  func plantedFiles() throws {
    let bed = try CommandBed(rows: 20)
    for (name, option) in [(".env", "--env-file"), ("holdfast.toml", "--config")] {
      try bed.folder.write(name, Array((name == ".env" ? "BACKUP_DIR=planted\n" : "backup_dir = \"planted\"\n").utf8))
      try bed.python("import os, sys; os.chmod(sys.argv[1], 0o666)", bed.folder.path(name))
      let refused = try bed.run("create")
      #expect(refused.status == 8 && refused.stderr.contains("\(name) in this folder can be written by every user"))
      #expect(try bed.run("create", option, "./\(name)").status == 0)
      try bed.python("import os, sys; os.remove(sys.argv[1])", bed.folder.path(name))
    }
  }

  @Test("A settings file of another user in our folder is refused", .enabled(if: geteuid() == 0))
  func foreignFiles() throws {
    let bed = try CommandBed(rows: 20)
    try bed.folder.write(".env", Array("BACKUP_DIR=planted\n".utf8))
    try bed.python("import os, sys; os.chown(sys.argv[1], 65534, 65534)", bed.folder.path(".env"))
    let refused = try bed.run("create")
    #expect(refused.status == 8 && refused.stderr.contains(".env belongs to another user"), "\(refused.stderr)")
    try bed.python("import os, sys; os.chown(sys.argv[1], 65534, 65534)", bed.folder.path)
    let warned = try bed.run("create")
    #expect(warned.status == 0 && warned.stderr.contains("warning: .env belongs to user 65534"), "\(warned.stderr)")
  }

  @Test("config show prints the values in force and their sources")
  func inForce() throws {
    let bed = try CommandBed(rows: 20)
    let environment = ["BACKUP_ENCRYPTION_KEY_FILE": "", "BACKUP_SCHEDULE": "0 2 * * *"]
    try bed.succeed("init", environment: environment)
    let lines = try bed.succeed("config", "show", environment: environment).split(separator: "\n").map {
      $0.split(separator: " ", omittingEmptySubsequences: true).prefix(3).joined(separator: " ")
    }
    #expect(lines.contains("mode hybrid default:") && lines.contains("timezone UTC default:"))
    #expect(lines.contains("key_file \(bed.folder.path)/config/holdfast/key default:"))
  }

  @Test("verify --all prints a line for each backup, and a total")
  func verifyAll() throws {
    let bed = try CommandBed(rows: 20)
    let ids = [try bed.create(), try bed.create()]
    let text = "✓ \(ids[1])  verified\n✓ \(ids[0])  verified\n\n✓ 2 backups verified\n"
    #expect(try bed.succeed("verify", "--all") == text)
    #expect(try bed.succeed("verify", "--all", "--quick").hasSuffix("\n✓ 2 backups unchanged since they were stored\n"))
  }

  @Test("A time may replace an ID")
  func times() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    let query = try bed.run("query", "now", "SELECT count(*) FROM entries")
    #expect(query.status == 0 && query.stdout.contains("20"), "\(query.stderr)")
    #expect(try bed.succeed("diff", "now", "live", "--summary") != "")
    let early = try bed.run("show", "2001-01-01")
    #expect(early.status == 4 && early.stderr.contains("there is no backup of 2001-01-01"), "\(early.stderr)")
  }

  @Test("A backup that cannot be stored leaves no folder, and a result that cannot be printed is reported as stored")
  func traces() throws {
    let bed = try CommandBed(rows: 20)
    #expect(try bed.run("create", environment: ["BACKUP_ENCRYPTION_KEY_FILE": ""]).status == 5)
    #expect(try bed.run("list").status == 4)
    let full = try Shell.run(
      "sh", ["-c", "exec \"$0\" create > /dev/full", CommandBed.program], environment: bed.environment(),
      in: bed.folder.path)
    #expect(full.status == 7 && full.stderr.contains(" is stored, but cannot write standard output"), "\(full.stderr)")
  }

  @Test("doctor names backups that cannot be restored")
  func failedBackups() throws {
    let bed = try CommandBed(rows: 20)
    let id = try bed.create()
    try bed.python("import os, sys; os.truncate(sys.argv[1], 100)", "\(bed.backups)/\(id).db.gz.enc")
    let doctor = try bed.run("doctor", "--no-probe")
    #expect(doctor.status == 1 && doctor.stdout.contains("✗ backups: \(id) cannot be restored"), "\(doctor.stdout)")
  }

  @Test("list --short prints a line of at most 80 columns for each backup")
  func short() throws {
    let bed = try CommandBed(rows: 20)
    let ids = try bed.makeChain(incrementals: 1)
    try bed.succeed("verify", "latest")
    let lines = try bed.succeed("list", "--short").split(separator: "\n")
    try #require(lines.count == 3)
    #expect(lines.allSatisfy { $0.count <= 80 } && lines[0].hasPrefix("ID ") && lines[0].contains("CREATED UTC"))
    #expect(lines[1].hasPrefix(ids[1]) && lines[1].contains(" +  ") && lines[1].hasSuffix("✓ verified"))
    #expect(lines[2].hasPrefix(ids[0]) && lines[2].contains(" full  ") && lines[2].hasSuffix("- stored"))
  }

  @Test("If all archives are damaged, the exit code is 3, and no backup is called missing")
  func damagedHeaders() throws {
    let bed = try CommandBed(rows: 20)
    let ids = try bed.makeChain(incrementals: 1)
    try bed.python(
      """
      import glob, sys
      for path in glob.glob(sys.argv[1] + "/*.enc"):
          with open(path, "r+b") as file: file.write(bytes(64))
      """, bed.backups)
    for arguments in [["drill"], ["drill", "--random"], ["restore", "latest", "--dry-run"], ["verify", "latest"]] {
      let result = try Shell.run(
        CommandBed.program, arguments, environment: bed.environment(), in: bed.folder.path)
      #expect(result.status == 3, "\(arguments): \(result.stderr)")
      #expect(result.stderr.contains("none of the 2 backups can be used; the newest damaged one is \(ids[1]): "))
      #expect(result.stderr.contains("the archives of the newest 2 backups of "), "\(result.stderr)")
      #expect(result.stderr.contains("hint: holdfast list ") && !result.stderr.contains("deleted elsewhere"))
    }
  }

  @Test("A lost key is to be put back if the repository has encrypted backups")
  func putBackTheKey() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    for arguments in [["create"], ["create", "--incremental"], ["agent", "--once"]] {
      let result = try Shell.run(
        CommandBed.program, arguments, environment: bed.environment(["BACKUP_ENCRYPTION_KEY_FILE": ""]),
        in: bed.folder.path)
      #expect(result.status == 5 && result.stderr.contains("hint: put back the key of"), "\(result.stderr)")
    }
  }

  @Test("diff names the damaged side and a useful next step, and no file in scratch space")
  func damagedSides() throws {
    let bed = try CommandBed(rows: 500)
    let sound = try bed.create()
    try bed.python(
      """
      import os, sys
      size = os.path.getsize(sys.argv[1])
      with open(sys.argv[1], "r+b") as file: file.seek(4096); file.write(b"\\xa5" * (size - 4096))
      """, bed.database)
    let live = try bed.run("diff", sound, "live")
    #expect(live.status == 1 && live.stderr.contains("cannot compare app.db: "), "\(live.stderr)")
    #expect(live.stderr.contains("holdfast restore \(sound) --dry-run") && !live.stderr.contains(".tmp-"))
    let flawed = try bed.create()
    let point = try bed.run("diff", sound, flawed)
    #expect(point.status == 1 && point.stderr.contains("cannot compare \(flawed): "), "\(point.stderr)")
    #expect(point.stderr.contains("holdfast verify \(flawed)") && !point.stderr.contains(".tmp-"))
    try bed.python("import sys; open(sys.argv[1], 'r+b').write(b'garbage' * 20)", bed.database)
    let garbage = try bed.run("diff", sound, "live")
    #expect(garbage.status == 1 && garbage.stderr.contains("holdfast restore \(flawed) --dry-run"), "\(garbage.stderr)")
  }

  @Test("init reports that a new key does not open the existing backups")
  func lostKey() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    let output = try bed.succeed("init", environment: ["BACKUP_ENCRYPTION_KEY_FILE": ""])
    #expect(output.contains("1 encrypted backup is there already: the new key does not open it"), "\(output)")
    #expect(output.contains("Next:") && output.contains("holdfast doctor"))
  }

  @Test("Each printed time names its zone")
  func zones() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    let zone = ["TZ": "CET-1"]
    let list = try bed.succeed("list", environment: zone)
    #expect(list.contains("\nTimes are in CET-1, IDs are in UTC\n") && list.contains(" +01:00\n"))
    #expect(try bed.succeed("show", "latest", environment: zone).contains(" +01:00\n"))
    #expect(try bed.succeed("show", "latest").contains(" UTC\n"))
  }

  @Test("A restore to a new file removes nothing and asks nothing; other restores list the loss first")
  func consequences() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    #expect(try bed.run("restore", "latest", "--to", "new.db").status == 0)
    #expect(try bed.value("SELECT count(*) FROM entries", of: bed.folder.path("new.db")) == "20")
    let asked = try PseudoTerminal.run(bed, ["restore", "latest"], answer: "n\n")
    #expect(asked.text.contains("The content of app.db is replaced, and kept as a safety backup. Restore? [y/N] "))
    let lost = try PseudoTerminal.run(bed, ["restore", "latest", "--no-safety-backup"], answer: "n\n")
    #expect(lost.text.contains("is replaced and lost: no safety backup is made. Restore? [y/N] "), "\(lost.text)")
  }
}
