import BackupEngine
import FoundationEssentials
import TestSupport
import Testing

@Suite("The query command", .ownThread)
struct QueryCommandTests {
  private func bed() throws -> (bed: CommandBed, point: String) {
    let bed = try CommandBed(rows: 20)
    _ = try bed.value(
      """
      CREATE TABLE odd("a,b" TEXT, n, blob BLOB);
      INSERT INTO odd VALUES ('say "x"', 9223372036854775807, x'00ff'), ('', NULL, NULL), ('l1' || char(10) || 'l2', 0.1, x'');
      CREATE VIRTUAL TABLE notes USING fts5(text); INSERT INTO notes VALUES ('hello world');
      CREATE VIRTUAL TABLE boxes USING rtree(id, low, high); INSERT INTO boxes VALUES (1, 2, 3);
      CREATE VIEW seen AS SELECT count(*) AS total FROM entries
      """)
    return (bed, try bed.create())
  }

  /// Nothing decrypted remains in the host's scratch folder.
  private func requireClean(_ bed: CommandBed) throws {
    #expect(try Shell.run("find", [bed.folder.path("state"), "-path", "*scratch/*"]).stdout == "")
  }

  @Test("query prints rows as a table, as CSV and as JSON, with each value exact")
  func formats() throws {
    let (bed, point) = try bed()
    let sql = "SELECT * FROM odd"
    #expect(
      try bed.succeed("query", point, sql, "--csv")
        == "\"a,b\",n,blob\r\n\"say \"\"x\"\"\",9223372036854775807,00ff\r\n\"\",,\r\n\"l1\nl2\",0.1,\r\n".replacing(
          "0.1,\r\n", with: "0.1,\"\"\r\n"))
    #expect(
      try bed.succeed("query", point, sql, "--json") == #"""
        [
          {"a,b": "say \"x\"", "n": 9223372036854775807, "blob": {"blob": "00ff"}},
          {"a,b": "", "n": null, "blob": null},
          {"a,b": "l1\nl2", "n": 0.1, "blob": {"blob": ""}}
        ]

        """#)
    let table = try bed.succeed("query", point, sql)
    #expect(
      table.hasPrefix("a,b      n                    blob\n") && table.contains("l1\\nl2")
        && table.hasSuffix("(3 rows)\n"))
    #expect(try bed.succeed("query", point, "SELECT 1 AS a, 2 AS a WHERE 0", "--json") == "[]\n")
    #expect(try bed.succeed("query", point, "SELECT 1 AS a, 2 AS a", "--json") == "[\n  {\"a\": 1, \"a_2\": 2}\n]\n")
    let twice = try bed.run("query", point, sql, "--csv", "--json")
    #expect(twice.status == 64)
    try requireClean(bed)
  }

  @Test("If the archive is missing, query, diff and restore exit with 4 and name it", arguments: [true, false])
  func missingArchive(encrypted: Bool) throws {
    let bed = try CommandBed(rows: 20)
    if !encrypted { try bed.succeed("create", "--no-encrypt") }
    let id = try encrypted ? bed.create() : decode(Listed.self, bed.succeed("show", "latest", "--json")).backupId
    try SystemFileOperations().unlink("\(bed.backups)/\(id).db.gz\(encrypted ? ".enc" : "")")
    for arguments in [["query", id, "SELECT 1"], ["diff", id, "live"], ["diff", id, id], ["restore", id, "--yes"]] {
      let result = try Shell.run(
        CommandBed.program, arguments, environment: bed.environment(), in: bed.folder.path)
      #expect(result.status == 4, "\(arguments)")
      #expect(result.stderr.contains("error: the archive of \(id) is missing\n"), "\(result.stderr)")
      #expect(result.stderr.contains("hint: holdfast list"), "\(result.stderr)")
    }
  }

  private struct Listed: Decodable {
    var backupId: String
  }

  @Test("Python reads the same values from the CSV and the JSON as from the database")
  func oracle() throws {
    let (bed, point) = try bed()
    let csv = try bed.succeed("query", point, "SELECT * FROM odd ORDER BY rowid", "--csv")
    let json = try bed.succeed("query", point, "SELECT * FROM odd ORDER BY rowid", "--json")
    _ = try bed.folder.write("out.csv", Array(csv.utf8))
    _ = try bed.folder.write("out.json", Array(json.utf8))
    let verdict = try bed.python(
      """
      import csv, json, sqlite3, sys
      folder = sys.argv[1]
      rows = sqlite3.connect(folder + "/app.db").execute("SELECT * FROM odd ORDER BY rowid").fetchall()
      text = lambda v: "" if v is None else v.hex() if isinstance(v, bytes) else str(v)
      with open(folder + "/out.csv", newline="", encoding="utf-8") as file: read = list(csv.reader(file))[1:]
      assert read == [[text(v) for v in row] for row in rows], read
      form = lambda v: {"blob": v.hex()} if isinstance(v, bytes) else v
      assert [list(row.values()) for row in json.load(open(folder + "/out.json"))] == [[form(v) for v in row] for row in rows]
      print("same")
      """, bed.folder.path)
    #expect(verdict == "same\n")
  }

  @Test("query reads views, full-text and R*Tree tables, read-only pragmas, and SQL from standard input and files")
  func reads() throws {
    let (bed, point) = try bed()
    func value(_ sql: String) throws -> String { try bed.succeed("query", point, sql, "--csv") }
    #expect(try value("SELECT total FROM seen") == "total\r\n20\r\n")
    #expect(try value("SELECT text FROM notes WHERE notes MATCH 'world'") == "text\r\nhello world\r\n")
    #expect(try value("SELECT id FROM boxes WHERE low > 1") == "id\r\n1\r\n")
    #expect(try value("SELECT name FROM pragma_table_info('entries')") == "name\r\nid\r\ntext\r\n")
    #expect(try value("PRAGMA user_version") == "user_version\r\n0\r\n")
    #expect(try value("SELECT value FROM json_each('[7]') -- the end") == "value\r\n7\r\n")
    #expect(try bed.run("query", point, "-", "--csv", stdin: "SELECT 1 AS n").stdout == "n\r\n1\r\n")
    let file = try bed.folder.write("a.sql", Array("SELECT 2 AS n;\n".utf8))
    #expect(try bed.succeed("query", "--at", "latest", "--file", file, "--csv") == "n\r\n2\r\n")
  }

  private static let escapes = [
    "ATTACH 'other.db' AS other", "ATTACH ':memory:' AS other", "DETACH main", "VACUUM INTO 'copy.db'", "VACUUM",
    "SELECT load_extension('evil')", "SELECT fts3_tokenizer('simple')", "PRAGMA writable_schema = 1",
    "PRAGMA temp_store_directory = '/tmp'", "PRAGMA journal_mode = DELETE", "PRAGMA query_only = 0",
    "PRAGMA user_version = 7", "PRAGMA trusted_schema = 1", "DELETE FROM entries",
    "INSERT INTO entries(text) VALUES ('x')",
    "UPDATE entries SET text = 'x'", "CREATE TABLE mine(x)", "CREATE TEMP TABLE mine(x)",
    "CREATE TEMP VIEW v AS SELECT 1",
    "DROP TABLE entries", "ALTER TABLE entries RENAME TO mine", "ANALYZE", "REINDEX", "BEGIN", "SAVEPOINT s",
    "CREATE VIRTUAL TABLE temp.f USING fts5vocab(main, notes, row)", "INSERT INTO notes(notes) VALUES ('rebuild')",
    "SELECT 1; ATTACH 'other.db' AS other", "EXPLAIN ATTACH 'other.db' AS other",
    "SELECT * FROM pragma_writable_schema",
  ]

  @Test("query refuses every statement that would do more than read")
  func escapes() throws {
    let (bed, point) = try bed()
    func state() throws -> String {
      try Shell.run("ls", [bed.folder.path]).stdout + bed.value(".dump entries")
    }
    let before = try state()
    for sql in Self.escapes {
      let result = try bed.run("query", point, sql)
      #expect(result.status == 8 && result.stdout == "", "\(sql): \(result.status) \(result.stderr)")
      #expect(result.stderr.contains("holdfast: hint: query accepts one SELECT"))
    }
    #expect(try state() == before)
    try requireClean(bed)
  }

  @Test("query has no functions of sqlite3's shell")
  func shellFunctions() throws {
    let (bed, point) = try bed()
    for call in ["writefile('x', 'y')", "readfile('/etc/passwd')", "edit('x')"] {
      let result = try bed.run("query", point, "SELECT \(call)")
      #expect(result.status == 1 && result.stderr.contains("no such function"), "\(call): \(result.stderr)")
    }
    #expect(try SystemFileOperations().status(bed.folder.path("x")) == nil)
  }

  @Test("A mistake in SQL is reported with SQLite's message and the place")
  func mistakes() throws {
    let (bed, point) = try bed()
    let wrong = try bed.run("query", point, "SELECT txt FROM entries")
    #expect(
      wrong.status == 1
        && wrong.stderr == "holdfast: error: no such column: txt, at character 8: \"txt FROM entries\"\n")
    #expect(try bed.run("query", point, "").status == 1)
    #expect(try bed.run("query", point).status == 64)
    #expect(try bed.run("query", "SELECT 1").status == 64)
    #expect(try bed.run("query", "backup_20010101_000000", "SELECT 1").status == 4)
    #expect(try bed.run("query", point, "SELECT 1", environment: ["BACKUP_ENCRYPTION_KEY_FILE": ""]).status == 5)
  }

  struct Ending: Decodable {
    var status: Int
    var stderr: String
    var held: Bool
    var leftovers: [String]
  }

  @Test("Ctrl-C ends query with 130, and a kill leaves nothing decrypted", arguments: ["INT", "TERM", "KILL"])
  func interrupted(signal: String) throws {
    let (bed, point) = try bed()
    let script = """
      import json, os, signal, subprocess, sys, time
      program, folder, point, name = sys.argv[1:]
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      sql = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c, entries"
      process = subprocess.Popen([program, "query", point, sql], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

      def deleted():
          place = "/proc/%d/fd/" % process.pid
          try: return any("/scratch/" in os.readlink(place + fd) and "(deleted)" in os.readlink(place + fd) for fd in os.listdir(place))
          except OSError: return False

      while process.poll() is None and not deleted(): time.sleep(0.002)
      held = deleted()
      time.sleep(0.05)
      process.send_signal(getattr(signal, "SIG" + name))
      stderr = process.communicate()[1]
      left = [os.path.join(place, n) for place, _, names in os.walk(folder) for n in names if "/scratch" in place]
      json.dump({"status": process.returncode, "stderr": stderr, "held": held, "leftovers": left}, sys.stdout)
      """
    let ending = try decode(
      Ending.self,
      bed.python(script, CommandBed.program, bed.folder.path, point, signal, environment: bed.environment()))
    #expect(ending.held && ending.leftovers == [])
    #expect(ending.status == (signal == "KILL" ? -9 : 130), "\(ending.stderr)")
    if signal != "KILL" { #expect(ending.stderr == "holdfast: error: interrupted\n") }
  }

  @Test("If SQL needs the application's own extension of SQLite, the error names it")
  func extensions() throws {
    let bed = try CommandBed(rows: 3)
    try bed.python(
      """
      import sqlite3, sys
      c = sqlite3.connect(sys.argv[1])
      c.create_collation("mine", lambda a, b: (a > b) - (a < b))
      c.execute("CREATE TABLE own(t TEXT COLLATE mine)")
      c.execute("INSERT INTO own VALUES ('a'), ('b')")
      c.commit()
      """, bed.database)
    let point = try bed.create()
    #expect(try bed.succeed("query", point, "SELECT t FROM own", "--csv") == "t\r\na\r\nb\r\n")
    let result = try bed.run("query", point, "SELECT t FROM own ORDER BY t")
    #expect(result.status == 1 && result.stderr.contains("no such collation sequence: mine"))
    #expect(result.stderr.contains("hint: the application's SQLite extensions are not available here"))
  }
}
