import BackupPolicy
import TestSupport
import Testing

@testable import holdfast

/// The configuration that the agent reads at its start, and again after SIGHUP.
@Suite("The configuration on reload", .ownThread)
struct ReloadTests {
  private func setup() throws -> AgentSetup {
    AgentSetup(retention: try RetentionOptions.parse([]), output: try OutputOptions.parse([]))
  }

  @Test("After a reload databases appear and disappear, values change, and flags stay")
  func reload() throws {
    let bed = try ConfigurationBed()
    let off = "encryption_enabled = false\n"
    let first = try setup().agent(
      bed.configuration(flags: [.debounce: "7s"], toml: off + "debounce = \"1s\"\n[[databases]]\npath = \"a.db\"\n"))
    #expect(first.databases.map(\.name) == ["a"] && first.databases[0].settings.debounce == 7000)
    #expect(first.databases[0].engine.folder == bed.folder.path("backups/a") && first.stopGrace == 10000)
    let second = try setup().agent(
      bed.configuration(
        flags: [.debounce: "7s"],
        toml: off + """
          stop_grace = "1s"
          max_delay = "9s"
          [[databases]]
          path = "b.db"
          schedule = "@daily"
          timezone = "Europe/Berlin"
          quiet_hours = "22:00-06:00"
          keep_last = 3
          compression_level = 9
          [[databases]]
          path = "c.db"
          enabled = false
          [[databases]]
          path = "a.db"
          backup_dir = "own"
          """))
    #expect(second.databases.map(\.name) == ["b", "a"] && second.stopGrace == 1000)
    let (b, a) = (second.databases[0].settings, second.databases[1].settings)
    #expect(b.mode == .hybrid && b.schedules.map(\.text) == ["@daily"] && b.zone.name == "Europe/Berlin")
    #expect(b.quietHours?.text == "22:00-06:00" && b.retention?.keepLast == 3 && b.archive.level.value == 9)
    #expect(b.debounce == 7000 && a.debounce == 7000 && a.maxDelay == 9000)
    #expect(a.mode == .change && a.retention == nil && a.quietHours == nil)
    #expect(second.databases[1].engine.folder == bed.folder.path("own"))
  }

  @Test("A mistake throws, so the old configuration stays")
  func mistake() throws {
    let bed = try ConfigurationBed()
    for text in [
      "debounce = 5", "max_backups = 0", "schedule = \"x\"", "mode = \"schedule\"", "timezone = \"Nowhere/At_All\"",
    ] {
      let configuration = try bed.configuration(toml: "encryption_enabled = false\ndatabase = \"a.db\"\n\(text)\n")
      #expect(throws: HoldfastError.self, "\(text)") { try setup().agent(configuration) }
    }
    #expect(throws: HoldfastError.self) { try bed.configuration(toml: "debouce = 1").requireSound() }
  }

  @Test("A password of one database does not reach another, and a higher layer wins in either form")
  func passwords() throws {
    let bed = try ConfigurationBed()
    for name in ["one", "two"] { try bed.folder.write(name, Array("\(name)\n".utf8)) }
    let toml =
      "password_file = \"one\"\n[[databases]]\npath = \"a.db\"\n[[databases]]\npath = \"b.db\"\npassword_file = \"two\"\n"
    func passwords(_ configuration: Configuration) throws -> [String?] {
      try setup().agent(configuration).databases.map {
        $0.engine.credentials.password?.withBytes { String(decoding: $0, as: UTF8.self) }
      }
    }
    #expect(try passwords(bed.configuration(toml: toml)) == ["one", "two"])
    #expect(
      try passwords(bed.configuration(env: "BACKUP_ENCRYPTION_PASSWORD='three'", toml: toml)) == ["three", "three"])
  }

  @Test("On SIGHUP the agent guards a new database, and reports a broken file with its place and ignores it")
  func signal() throws {
    let bed = try CommandBed(rows: 20)
    try bed.makeDatabase(at: bed.folder.path("b.db"), rows: 20)
    try bed.folder.write("holdfast.toml", Array("[[databases]]\npath = \"app.db\"\n".utf8))
    let output = try bed.python(
      """
      import glob, signal, subprocess, sys, time

      program, folder = sys.argv[1:3]
      # The threads that run tests block signals, and a child inherits that.
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      log = open(folder + "/agent.log", "wb")
      agent = subprocess.Popen([program, "agent", "--debounce", "50ms"], cwd=folder, stderr=log)

      def wait_for(what):
          for _ in range(6000):
              if what():
                  return
              assert agent.poll() is None, open(folder + "/agent.log").read()
              time.sleep(0.01)
          agent.kill()
          sys.exit(open(folder + "/agent.log").read())

      def points(name):
          return glob.glob(f"{folder}/backups/{name}/backup_*.gz.enc")

      def reload(text):
          with open(folder + "/holdfast.toml", "w") as file:
              file.write(text)
          agent.send_signal(signal.SIGHUP)

      try:
          wait_for(lambda: points("app"))
          reload('[[databases]]\\npath = "app.db"\\n[[databases]]\\npath = "b.db"\\n')
          wait_for(lambda: points("b"))
          reload('debouce = 1\\n')
          wait_for(lambda: "holdfast.toml:1:1: debouce is not a setting" in open(folder + "/agent.log").read())
          # The agent may be closing b.db, and holds all locks then.
          command = ["sqlite3", "-cmd", ".timeout 10000", folder + "/b.db", "DELETE FROM entries WHERE id = 1"]
          subprocess.run(command, check=True)
          wait_for(lambda: len(points("b")) == 2)

          def order(text, *arguments):
              with open(folder + "/holdfast.toml", "w") as file:
                  file.write(text)
              return subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True)

          tables = '[[databases]]\\npath = "app.db"\\n[[databases]]\\npath = "b.db"\\n'
          partly = order(tables + '[[databases]]\\npath = "c.db"\\n', "backup-now", "--wait")
          assert partly.returncode == 8 and "no agent guards" in partly.stderr and "c.db" in partly.stderr, partly
          disabled = order(tables + '[[databases]]\\npath = "c.db"\\nenabled = false\\n', "backup-now", "--wait")
          assert disabled.returncode == 0, disabled
          refused = order("enabled = false\\n" + tables, "reload")
          assert refused.returncode == 8 and "is false" in refused.stderr, refused
          agent.send_signal(signal.SIGTERM)
          print(agent.wait(), end="")
      finally:
          agent.kill()
      """, CommandBed.program, bed.folder.path,
      environment: bed.environment(["DATABASE_URL": "", "PATH": "/usr/local/bin:/usr/bin:/bin"]))
    #expect(output == "0")
  }
}
