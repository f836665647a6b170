import TestSupport
import Testing

@testable import holdfast

@Suite("A command for every configured database", .ownThread)
struct EveryDatabaseTests {
  struct Entry: Decodable {
    struct Failure: Decodable {
      var code: String
      var hint: String?
    }
    var database: String
    var exitCode: Int
    var error: Failure?
  }

  private let noDatabase = ["DATABASE_URL": ""]

  private func bed() throws -> CommandBed {
    let bed = try CommandBed(rows: 20)
    try bed.makeDatabase(at: bed.folder.path("b.db"), rows: 30)
    try bed.folder.write(
      "holdfast.toml", Array("keep_last = 1\n[[databases]]\npath = \"app.db\"\n[[databases]]\npath = \"b.db\"\n".utf8))
    return bed
  }

  @Test("--all prints each database under its name and ends with one exit code")
  func all() throws {
    let bed = try bed()
    let created = bed.normalised(try bed.succeed("create", "--all", environment: noDatabase))
    #expect(created.hasPrefix("[app] app.db\nCreated ID\n") && created.contains("\n\n[b] b.db\nCreated ID\n"))
    for command in ["list", "stats", "cleanup", "compact", "doctor", "drill", "verify"] {
      let result = try bed.run(command, "--all", environment: noDatabase)
      #expect(result.status == 0, "\(command): \(result.stderr)")
      #expect(result.stdout.contains("[app] app.db\n") && result.stdout.contains("\n\n[b] b.db\n"), "\(result.stdout)")
      let entries = try decode([Entry].self, bed.succeed(command, "--all", "--json", environment: noDatabase))
      #expect(entries.map(\.database) == ["app", "b"] && entries.allSatisfy { $0.exitCode == 0 && $0.error == nil })
    }
    let one = try bed.run("list", environment: noDatabase)
    #expect(one.status == 64 && one.stderr.contains("have --all"))
    #expect(try bed.run("list", "--all", "--database", "b", environment: noDatabase).status == 64)
    #expect(try bed.run("list", "--all", environment: noDatabase).status == 0)
  }

  @Test("A failure of one database does not stop the others, and its hint names the database")
  func failure() throws {
    let bed = try bed()
    try bed.succeed("create", "--database", "b", environment: noDatabase)
    let verified = try bed.run("verify", "--all", "--json", environment: noDatabase)
    let entries = try decode([Entry].self, verified.stdout)
    #expect(verified.status == 4 && entries.map(\.exitCode) == [4, 0] && entries[0].error?.code == "point_not_found")
    #expect(entries[0].error?.hint?.contains("holdfast create --database app") == true)
    let once = try bed.run("agent", "--once", environment: noDatabase)
    #expect(once.status == 0 && once.stdout.contains("[app] app.db\nCreated ") && once.stdout.contains("[b] b.db\n"))
    try bed.python("import os, sys; os.remove(sys.argv[1])", bed.database)
    let created = try bed.run("create", "--all", environment: noDatabase)
    #expect(created.status == 1 && created.stdout.contains("[b] b.db\nCreated "), "\(created.stdout)")
  }

  @Test("If several databases fail, the worst exit code wins, and damage outranks failure")
  func worst() {
    #expect(EveryDatabase.worst([0, 0]) == nil)
    #expect(EveryDatabase.worst([4, 3, 1]) == 3)
    #expect(EveryDatabase.worst([0, 6, 4]) == 6)
    #expect(EveryDatabase.worst([1, 64]) == 64)
  }
}
