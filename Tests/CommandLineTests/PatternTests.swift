import TestSupport
import Testing

@testable import holdfast

/// Databases that a pattern matches: they appear and disappear, and no command informs the agent.
@Suite("Databases by pattern", .ownThread)
struct PatternTests {
  /// Runs `script` beside `start()`ed agents that guard `tenants/*/app.db`, with `make(name)` and
  /// `insert(name)` for a tenant's database, `points(name)` for its backups, and
  /// `wait_for(condition)`.
  private func run(
    _ bed: CommandBed, poll: String = "1h", pattern: String = "tenants/*/app.db", backupDir: String? = "bk",
    _ script: String
  ) throws -> String {
    let folder = backupDir.map { "backup_dir = \"\($0)\"\n" } ?? ""
    try bed.folder.write(
      "holdfast.toml",
      Array(
        "poll_interval = \"\(poll)\"\n\(folder)[[databases]]\npath = \"\(pattern)\"\n".utf8))
    return try bed.python(
      """
      import glob, os, re, shutil, signal, sqlite3, subprocess, sys, time

      program, folder = sys.argv[1:3]
      os.chdir(folder)
      signal.pthread_sigmask(signal.SIG_SETMASK, [])

      def start():
          log = open("agent.log", "wb")
          return subprocess.Popen([program, "agent", "--debounce", "50ms"], stderr=log)

      def log():
          return open("agent.log", errors="replace").read()

      def wait_for(what):
          for _ in range(3000):
              if what():
                  return
              assert agent.poll() is None, log()
              time.sleep(0.01)
          sys.exit(log())

      def insert(name, file="app.db"):
          connection = sqlite3.connect(os.path.join(b"tenants", os.fsencode(name), os.fsencode(file)))
          connection.execute("CREATE TABLE IF NOT EXISTS t(v)")
          connection.execute("INSERT INTO t VALUES (1)")
          connection.commit()
          connection.close()

      def make(name):
          os.makedirs(os.fsencode("tenants/") + os.fsencode(name))
          insert(name)

      def points(name):
          return glob.glob(f"bk/{name}/backup_*")

      def end(agent):
          agent.send_signal(signal.SIGTERM)
          assert agent.wait() == 0, log()

      agent = None
      try:
      \(script.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n"))
      finally:
          if agent: agent.kill()
      """, CommandBed.program, bed.folder.path,
      environment: bed.environment([
        "DATABASE_URL": "", "BACKUP_DIR": "", "PATH": "/usr/local/bin:/usr/bin:/bin",
      ]))
  }

  @Test("A new match is guarded as soon as it exists, even if nothing matched and no folder existed before")
  func comes() throws {
    let bed = try CommandBed(rows: 1)
    _ = try run(
      bed,
      """
      agent = start()
      time.sleep(1)
      make("a")
      wait_for(lambda: len(points("a")) == 1)
      os.mkdir("tenants/b")
      time.sleep(1)
      insert("b")
      wait_for(lambda: len(points("b")) == 1)
      os.rename("tenants/b", "tenants/c")
      wait_for(lambda: len(points("c")) == 1)
      insert("c")
      wait_for(lambda: len(points("c")) == 2)
      assert "tenants/b/app.db" in log() and "error" in log(), "b is missed"
      end(agent)
      """)
  }

  @Test("The poll finds a match that no event reports")
  func polled() throws {
    let bed = try CommandBed(rows: 1)
    _ = try run(
      bed, poll: "200ms",
      """
      os.mkdir("elsewhere")
      os.symlink("elsewhere", "tenants")
      make("a")
      agent = start()
      wait_for(lambda: len(points("a")) == 1)
      os.mkdir("other")
      os.mkdir("other/b")
      os.remove("tenants")
      os.symlink("other", "tenants")
      insert("b")
      wait_for(lambda: len(points("b")) == 1)
      end(agent)
      """)
  }

  @Test(
    "A match that vanishes is missed, also after a restart, until its backups are moved or its name returns")
  func goes() throws {
    let bed = try CommandBed(rows: 1)
    _ = try run(
      bed, poll: "200ms",
      """
      make("a")
      make("b")
      agent = start()
      wait_for(lambda: points("a") and points("b"))
      shutil.rmtree("tenants/a")
      wait_for(lambda: "error: a: there is no" in log())
      end(agent)
      agent = start()
      wait_for(lambda: "error: a: there is no" in log())
      wait_for(lambda: "restore latest --database" in log())
      end(agent)
      check = subprocess.run([program, "config", "check"], capture_output=True, text=True)
      assert check.returncode == 0 and "tenants/a/app.db, which no longer exists" in check.stderr, check
      restore = [program, "restore", "latest", "--yes", "--quiet", "--database"]
      refused = subprocess.run(restore + ["a"], capture_output=True, text=True)
      assert "mkdir -p" in refused.stderr, refused
      os.mkdir("tenants/a")
      subprocess.run(restore + ["a"], check=True)
      os.remove("tenants/a/app.db")
      subprocess.run(restore + ["tenants/a/app.db"], check=True)
      assert sqlite3.connect("tenants/a/app.db").execute("SELECT count(*) FROM t").fetchone() == (1,)
      shutil.rmtree("tenants/a")
      os.rename("bk/a", "moved")
      agent = start()
      wait_for(lambda: "error: a: there is no" in log())
      refused = subprocess.run([program, "create", "--all", "--quiet"], capture_output=True, text=True)
      assert refused.returncode == 8, refused
      subprocess.run(re.search("; (rm .*) forgets them", refused.stderr).group(1), shell=True, check=True)
      wait_for(lambda: "a is no longer watched" in log())
      end(agent)
      agent = start()
      wait_for(lambda: "b: watching" in log())
      assert "tenants/a" not in log() and os.listdir("bk") == ["b"], log()
      end(agent)
      """)
  }

  @Test("A name that is not UTF-8 is guarded, missed and restored like any other")
  func bytes() throws {
    let bed = try CommandBed(rows: 1)
    _ = try run(
      bed,
      """
      name = b"caf\\xe9"
      make(name)
      agent = start()
      wait_for(lambda: len(points("caf%E9")) == 1)
      insert(name)
      wait_for(lambda: len(points("caf%E9")) == 2)
      make(b"t\\xfcr")
      wait_for(lambda: len(points("t%FCr")) == 1)
      assert "tenants/caf\\\\xe9/app.db" in log(), log()
      os.remove(b"tenants/" + name + b"/app.db")
      wait_for(lambda: "error: caf%E9: there is no database" in log())
      end(agent)
      subprocess.run([program, "restore", "latest", "--yes", "--quiet", "--database", "caf%E9"], check=True)
      connection = sqlite3.connect(b"tenants/" + name + b"/app.db")
      assert connection.execute("SELECT count(*) FROM t").fetchone() == (2,)
      """)
  }

  @Test("If a match has a name already in use, the agent raises an alarm and guards the others")
  func collides() throws {
    let bed = try CommandBed(rows: 1)
    _ = try run(
      bed, pattern: "tenants/*",
      """
      os.mkdir("tenants")
      insert("", "shop.db")
      agent = start()
      wait_for(lambda: points("shop"))
      insert("", "shop.sqlite")
      insert("", "other.db")
      wait_for(lambda: points("other"))
      wait_for(lambda: "gives the name shop, which line 4 also gives: tenants/shop.sqlite" in log())
      insert("", "shop.db")
      wait_for(lambda: len(points("shop")) == 2)

      def printed(*arguments):
          return subprocess.run([program, *arguments], capture_output=True, text=True)

      def check():
          status = printed("status").stdout
          assert "It is not backed up: " in status and "tenants/shop.sqlite" in status, status
          assert printed("status", "--check", "--max-age", "1h").returncode == 2
          metrics = printed("metrics").stdout.splitlines()
          assert "holdfast_refused_databases 1" in metrics and len(metrics) == len(set(metrics)), metrics

      check()
      end(agent)
      check()
      """)
  }

  @Test("A file named like the pattern itself is one more match and displaces no other")
  func literal() throws {
    let bed = try CommandBed(rows: 1)
    _ = try run(
      bed,
      """
      make("a")
      agent = start()
      wait_for(lambda: points("a"))
      make("*")
      wait_for(lambda: points("[*]"))
      make("b")
      wait_for(lambda: points("b"))
      end(agent)
      subprocess.run([program, "create", "--all", "--quiet"], check=True)
      assert len(points("a")) == 2 and len(points("[*]")) == 2 and len(points("b")) == 2
      """)
  }

  @Test("A path with a bracket also names the file of that exact name, and its own name makes it one database")
  func bracket() throws {
    let bed = try CommandBed(rows: 20)
    for name in ["app1.db", "app[1].db"] { try bed.makeDatabase(at: bed.folder.path(name), rows: 20) }
    let table = "[[databases]]\npath = \"app[1].db\"\nbackup_dir = \"bk\"\n"
    let environment = ["DATABASE_URL": "", "BACKUP_DIR": ""]
    try bed.folder.write("holdfast.toml", Array((table + "name = \"one\"\n").utf8))
    try bed.succeed("create", "--all", "--quiet", environment: environment)
    #expect(DatabaseList.exists(bed.folder.path("bk/.metadata")))
    try bed.folder.write("holdfast.toml", Array(table.utf8))
    try bed.succeed("create", "--all", "--quiet", environment: environment)
    #expect(DatabaseList.exists(bed.folder.path("bk/app1/.metadata")))
    #expect(!DatabaseList.exists(bed.folder.path("bk/app[1]")), "its backups continue in the folder that has them")
  }

  @Test("The name that a pattern gave to a removed file restores nothing into another file of that name")
  func twoOfOneName() throws {
    let bed = try CommandBed(rows: 1)
    _ = try run(
      bed, pattern: "tenants/*",
      """
      os.mkdir("tenants")
      insert("", "shop.db")
      subprocess.run([program, "create", "--all", "--quiet"], check=True)
      os.remove("tenants/shop.db")
      insert("", "shop.sqlite")
      insert("", "shop.sqlite")
      restore = [program, "restore", "latest", "--yes", "--quiet", "--database", "shop"]
      refused = subprocess.run(restore, capture_output=True, text=True)
      assert refused.returncode == 64 and "names two databases" in refused.stderr, refused
      create = [program, "create", "--all", "--quiet"]
      assert subprocess.run(create).returncode == 64 and len(points("shop")) == 1, os.listdir("bk/shop")
      rows = sqlite3.connect("tenants/shop.sqlite").execute("SELECT count(*) FROM t").fetchone()
      assert rows == (2,), rows
      """)
  }

  @Test("Folders keep their extensions in names, and a repository that has a former name keeps it")
  func extensions() throws {
    let bed = try CommandBed(rows: 1)
    _ = try run(
      bed,
      """
      create = [program, "create", "--all", "--quiet"]
      make("shop.com")
      subprocess.run(create, check=True)
      os.rename("bk/shop.com", "bk/shop")
      shutil.rmtree(os.environ["XDG_STATE_HOME"])
      make("shop.org")
      subprocess.run(create, check=True)
      assert len(points("shop")) == 2 and len(points("shop.org")) == 1, os.listdir("bk")
      assert sorted(os.listdir("bk")) == ["shop", "shop.org"], os.listdir("bk")
      """)
  }

  @Test("If the disk with the databases and their backups is not mounted, every command refuses and the agent alarms")
  func unmounted() throws {
    let bed = try CommandBed(rows: 1)
    _ = try run(
      bed, pattern: "tenants/*.db", backupDir: nil,
      """
      os.mkdir("tenants")
      insert("", "a.db")
      insert("", "b.db")
      subprocess.run([program, "create", "--all", "--quiet"], check=True)
      agent = start()
      wait_for(lambda: log().count("watching") == 2)
      os.rename("tenants", "away")
      os.mkdir("tenants")
      wait_for(lambda: "error: a: " in log() and "error: b: " in log())
      assert "no longer watched" not in log(), log()
      end(agent)
      for command in [["agent", "--once"], ["verify", "--all"], ["create", "--all"], ["list", "--all"]]:
          ended = subprocess.run([program] + command, capture_output=True, text=True)
          assert ended.returncode == 8, (command, ended)
          assert "not there" in ended.stderr or "there is no database" in ended.stderr, (command, ended)
      agent = start()
      wait_for(lambda: "error: a: " in log() and "error: b: " in log())
      assert os.listdir("tenants") == [], os.listdir("tenants")
      os.rmdir("tenants")
      os.rename("away", "tenants")
      insert("", "a.db")
      wait_for(lambda: len(glob.glob("tenants/backups/a/backup_*")) == 2)
      end(agent)
      subprocess.run([program, "verify", "--all", "--quiet"], check=True)
      """)
  }

  /// Each script makes a backup of `a` and takes its disk away.
  private static let disks = [
    "a link before the first wildcard": """
    os.makedirs("disk/data")
    os.symlink("disk/data", "tenants")
    make("a")
    create()
    os.rename("disk", "away")
    """,
    "a link that the wildcard matches": """
    os.makedirs("tenants")
    os.makedirs("disk/a")
    os.symlink("../disk/a", "tenants/a")
    insert("a")
    create()
    os.rename("disk", "away")
    """,
    "one of two disks, with the backups": """
    make("a")
    make("b")
    create()
    for folder in ["tenants/a", "bk/a"]:
        shutil.rmtree(folder)
        os.mkdir(folder)
    """,
    "a new database where the disk was": """
    make("a")
    create()
    os.rename("tenants", "away")
    os.rename("bk", "bk.away")
    os.mkdir("bk")
    make("new")
    create(8)
    assert os.listdir("bk") == [], os.listdir("bk")
    """,
    "damaged newest metadata and no state": """
    make("a")
    create()
    insert("a")
    create()
    open(max(glob.glob("bk/a/.metadata/backup_*")), "w").write("{x")
    shutil.rmtree(os.environ["XDG_STATE_HOME"])
    shutil.rmtree("tenants/a")
    """,
    "a damaged state of this host": """
    make("a")
    make("b")
    create()
    os.rename("tenants/a", "away")
    os.rename("bk/a", "bk.away")
    for state in glob.glob(os.environ["XDG_STATE_HOME"] + "/holdfast/*.json"):
        if "bk/a" in open(state).read():
            open(state, "w").write("{broken")
    """,
  ]

  @Test("A database is missed by every command, and again, if its disk is away", arguments: disks.keys.sorted())
  func away(disk: String) throws {
    let bed = try CommandBed(rows: 1)
    _ = try run(
      bed,
      """
      def create(code=0):
          ended = subprocess.run([program, "create", "--all", "--quiet"], capture_output=True, text=True)
          assert ended.returncode == code, ended
      \(Self.disks[disk]!)
      for command in [["agent", "--once"], ["verify", "--all"], ["create", "--all"]] * 2:
          ended = subprocess.run([program] + command, capture_output=True, text=True)
          isShown = command[0] == "verify" and ended.stdout.count("verified") >= len(glob.glob("bk/*/backup_*"))
          assert ended.returncode != 0 or isShown, (command, ended)
      """)
  }

  @Test("A pattern matches a path, whether or not the file exists, and also behind a link")
  func matches() throws {
    let bed = try ConfigurationBed()
    let pattern = try #require(PathPattern(bed.folder.path("t/*/app.db")))
    #expect(pattern.match(bed.folder.path("t/a/app.db")) == bed.folder.path("t/a/app.db"))
    let below = try #require(PathPattern("*/app.db"))
    #expect(below.match(DatabaseList.real(".") + "/a/app.db") == "a/app.db")
    for path in ["t/a/b/app.db", "t/.a/app.db", "t/a/app.dbx", "u/a/app.db"] {
      #expect(pattern.match(bed.folder.path(path)) == nil)
    }
  }
}
