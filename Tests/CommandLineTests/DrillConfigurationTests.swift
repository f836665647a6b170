import BackupPolicy
import TestSupport
import Testing

@testable import holdfast

@Suite("The settings [drill] and [[drill.assert]]", .ownThread)
struct DrillConfigurationTests {
  @Test("Drill settings are read in each of TOML's spellings, and a database's own follow the common ones")
  func read() throws {
    let bed = try ConfigurationBed()
    let configuration = try bed.configuration(
      toml: """
        timezone = "Europe/Berlin"
        [drill]
        schedule = ["0 4 * * 0", "@monthly"]
        max_age = "30d"
        [[drill.assert]]
        name = "all"
        sql = "SELECT 1"
        expect = 1
        [[drill.assert]]
        sql = "SELECT 2"
        expect = "2"
        database = "b"
        [[databases]]
        path = "a.db"
        drill.schedule = "@daily"
        [[databases.drill.assert]]
        sql = "SELECT 3"
        expect = ""
        [[databases]]
        path = "b.db"
        [databases.drill]
        max_age = "0"
        """)
    #expect(configuration.problems == [] && configuration.assertionProblems() == [])
    let databases = try configuration.databases()
    let assertions = databases.map { $0.settings.assertions(of: $0.name) }
    #expect(
      assertions[0].map(\.sql) == ["SELECT 1", "SELECT 3"] && assertions[1].map(\.sql) == ["SELECT 1", "SELECT 2"])
    #expect(assertions[0][0].name == "all" && assertions[0][0].expect == "1" && assertions[0][1].expect == "")
    let drills = try databases.map { try $0.settings.drillSettings() }
    #expect(try drills[0].schedules == [CronSchedule("@daily")] && drills[0].maxAge == 30 * 86400)
    #expect(drills[1].schedules.count == 2 && drills[1].maxAge == 0 && drills[1].zone.name == "Europe/Berlin")
    let agent = try AgentSetup(retention: RetentionOptions.parse([]), output: OutputOptions.parse([]))
      .agentSettings(databases[0].settings)
    #expect(agent.drills == drills[0])
  }

  @Test(
    "A mistake is reported with its line and the probable correction",
    arguments: [
      ("drill = true", "1:1: drill is not a table", "write [drill]"),
      ("[drill]\nshedule = \"@daily\"", "2:1: shedule is not a setting of [drill]", "did you mean schedule?"),
      ("[drill]\ncolour = 3", "2:1: colour is not a setting of [drill]", "[drill] has max_age, schedule, assert"),
      ("[drill]\nasert = []", "2:1: asert is not a setting of [drill]", "did you mean assert?"),
      ("[drill.assert]\nsql = \"x\"", "1:1: assert is not an array of tables", "[[drill.assert]]"),
      ("[drill]\nassert = [3]", "2:11: assert has an item that is not a table", "[[drill.assert]]"),
      ("[[drill.assert]]\nexpect = \"1\"", "1:1: [[drill.assert]] has no sql", "write sql = "),
      ("[[drill.assert]]\nsql = \"SELECT 1\"", "1:1: [[drill.assert]] has no expect", "the output of sqlite3"),
      ("[[drill.assert]]\nsql = \"\"\nexpect = 1", "2:1: sql is empty", "write it"),
      ("[[drill.assert]]\nslq = \"x\"\nexpect = 1", "2:1: slq is not a key of [[drill.assert]]", "did you mean sql?"),
      ("[[drill.assert]]\nsql = 3\nexpect = 1", "2:7: sql is 3, which is not text", "in quotes"),
      (
        "[[drill.assert]]\nsql = \"x\"\nexpect = true", "3:10: expect is true, but SQLite has no such value",
        "write 1, or"
      ),
      ("[[drill.assert]]\nsql = \"x\"\nexpect = 1.5", "3:10: expect is a floating-point number", "in quotes"),
      (
        "[[databases]]\npath = \"a.db\"\n[[databases.drill.assert]]\nsql = \"x\"\nexpect = 1\ndatabase = \"a\"",
        "6:1: database is not a key of [[drill.assert]]", "has sql, expect, name"
      ),
    ])
  func mistakes(toml: String, problem: String, hint: String) throws {
    let bed = try ConfigurationBed()
    let problems = try bed.configuration(toml: toml).problems
    #expect(problems.count == 1)
    let found = try #require(problems.first)
    #expect(found.message.hasPrefix("\(bed.toml):\(problem)"), "\(found.message)")
    #expect(found.hint.contains(hint), "\(found.hint)")
  }

  @Test("An assertion about an unknown database is a mistake because it would never run")
  func unknownDatabase() throws {
    let bed = try CommandBed(rows: 1)
    _ = try bed.create()
    try bed.folder.write(
      "holdfast.toml",
      Array(
        """
        database = "app.db"
        [[drill.assert]]
        sql = "SELECT 1"
        expect = 1
        database = "appp"
        """.utf8))
    for command in ["drill", "agent"] {
      let result = try bed.run(command)
      #expect(
        result.status == 64 && result.stderr.contains("holdfast.toml:5:12: database is \"appp\""), "\(result.stderr)")
      #expect(result.stderr.contains("did you mean app?"))
    }
    // It blocks no other command.
    try bed.succeed("verify", "latest")
    let check = try bed.run("config", "check")
    #expect(check.status == 64 && check.stderr.contains("not a configured database"))
  }

  @Test("A wrong schedule is shown with its column, and the variable also works")
  func schedule() throws {
    let bed = try ConfigurationBed()
    #expect(throws: HoldfastError.self) {
      try bed.configuration(toml: "[drill]\nschedule = \"0 25 * * *\"").settings().drillSettings()
    }
    let settings = try bed.configuration(environment: ["BACKUP_DRILL_SCHEDULE": "@weekly;@monthly"]).settings()
    #expect(try settings.drillSettings().schedules.count == 2)
  }
}
