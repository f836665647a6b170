import Glibc
import TestSupport
import Testing

@Suite("Mistakes in the configuration", .ownThread)
struct MistakeTests {
  @Test(
    "Each mistake gives one line with its place and reason, and one with the correction",
    arguments: Mistake.spelling + Mistake.meaning + Mistake.variables + Mistake.elsewhere)
  func mistakes(mistake: Mistake) throws {
    let bed = try MistakeBed()
    let result = try bed.check(mistake.place)
    let lines = result.stderr.split(separator: "\n").map(String.init)
    let errors = lines.indices.filter { lines[$0].hasPrefix("holdfast: error: ") }
    try #require(errors.count == 1, "\(result.stderr)")
    #expect(lines[errors[0]] == "holdfast: error: \(mistake.error)")
    #expect(lines[errors[0] + 1] == "holdfast: hint: \(mistake.hint)")
    #expect(result.status == 64 && result.stdout == "" && !result.stderr.contains("secret@"))
  }

  @Test("The table has at least fifty mistakes")
  func count() {
    let all = Mistake.spelling + Mistake.meaning + Mistake.variables + Mistake.elsewhere
    #expect(all.count >= 50 && Set(all.map(\.name)).count == all.count)
  }

  @Test("All mistakes are reported at once, file by file, line by line, each once")
  func several() throws {
    let bed = try MistakeBed()
    try bed.folder.write(".env", Array("BACKUP_MODE=both\nBACKUP_DEBOUCE=5s\n".utf8))
    try bed.folder.write(
      "holdfast.toml",
      Array("colour = 1\nmax_backups = 0\ndebounce = 5s\n[[databases]]\npath = \"gone.db\"\nmode = \"bth\"\n".utf8))
    let result = try bed.run("config", "check")
    #expect(result.status == 64)
    let heads = result.stderr.split(separator: "\n").filter { !$0.hasPrefix("holdfast: hint: ") }.map {
      $0.split(separator: " ").dropFirst().prefix(3).joined(separator: " ")
    }
    #expect(
      heads == [
        "error: .env:1:13: BACKUP_MODE", "error: .env:2:1: BACKUP_DEBOUCE", "error: holdfast.toml:1:1: colour",
        "error: holdfast.toml:2:15: max_backups", "error: holdfast.toml:3:12: debounce",
        "warning: holdfast.toml:5:8: path", "error: holdfast.toml:6:8: mode",
      ])
  }

  @Test("A command stops at the first mistake of the files and prints their number")
  func command() throws {
    let bed = try MistakeBed()
    try bed.folder.write("holdfast.toml", Array("debouce = \"5s\"\nrepo = \"x\"\n".utf8))
    for command in [["list"], ["create"], ["agent"], ["init"]] {
      let result = try bed.run(command)
      #expect(result.status == 64)
      #expect(
        result.stderr == """
          holdfast: error: holdfast.toml:1:1: debouce is not a setting
          holdfast: hint: did you mean debounce?; holdfast config check lists all mistakes

          """)
    }
  }

  /// A person who restores in a hurry should not have to correct a `debounce` first.
  @Test("A wrong value stops only the commands that need it")
  func irrelevantValues() throws {
    let bed = try CommandBed(rows: 20)
    try bed.folder.write("holdfast.toml", Array("debounce = 5\ntimezone = \"x\"\nmax_backups = 0\n".utf8))
    _ = try bed.create()
    try bed.succeed("restore", "latest", "--yes")
    #expect(try bed.run("cleanup").stderr.contains("holdfast.toml:3:15: max_backups is 0"))
    #expect(try bed.run("agent", "--once").stderr.contains("holdfast.toml:1:12: debounce is 5"))
  }

  @Test("Among unknown variables like ours, a misspelling gives a warning and any other a remark of config check")
  func variables() throws {
    let bed = try CommandBed(rows: 20)
    let near = try bed.run("create", environment: ["BACKUP_COMPRESION_ENABLED": "false"])
    #expect(
      near.stderr == """
        holdfast: warning: the environment variable BACKUP_COMPRESION_ENABLED is not a setting
        holdfast: hint: did you mean BACKUP_COMPRESSION_ENABLED?

        """)
    let other = ["BACKUP_S3_BUCKET_OF_SOMETHING": "x"]
    try bed.succeed("create", environment: other)
    let check = try bed.run("config", "check", environment: other)
    #expect(check.status == 0 && check.stderr.contains("BACKUP_S3_BUCKET_OF_SOMETHING is not a setting"))
  }
}

/// A folder with three databases, and nothing configured.
struct MistakeBed {
  let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    mkdir(folder.path("data"), 0o700)
    for name in ["app.db", "data/a.db", "data/b.db", "data/app.db"] { try folder.write(name, []) }
  }

  func check(_ place: Mistake.Place) throws -> ProgramResult {
    switch place {
    case .toml(let text): try folder.write("holdfast.toml", Array("\(text)\n".utf8))
    case .env(let text): try folder.write(".env", Array("\(text)\n".utf8))
    case .environment(let variables): return try run(["config", "check"], environment: variables)
    case .flags(let flags): return try run(["config", "check"] + flags)
    }
    return try run("config", "check")
  }

  func run(_ arguments: String...) throws -> ProgramResult { try run(arguments) }

  func run(_ arguments: [String], environment: [String: String] = [:]) throws -> ProgramResult {
    try Shell.run(
      CommandBed.program, arguments,
      environment: ["HOME": folder.path("home"), "TZ": "UTC"].merging(environment) { $1 }, in: folder.path)
  }
}
