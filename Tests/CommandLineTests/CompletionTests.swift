import TestSupport
import Testing

@testable import holdfast

/// Completion in a shell, by the scripts that the program prints.
@Suite("Completion", .ownThread)
struct CompletionTests {
  /// Completes the last word of a command line in bash, split into words as bash does.
  private func bash(_ line: [String], _ bed: CommandBed, environment: [String: String] = [:]) throws -> [String] {
    let words = line.map(RestoreCommandLine.quoted).joined(separator: " ")
    let script = """
      set -e
      source <(holdfast completion bash)
      COMP_WORDS=(\(words))
      COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
      COMP_LINE="${COMP_WORDS[*]}"
      COMP_POINT=${#COMP_LINE}
      function=$(complete -p holdfast | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
      set +e
      "$function" holdfast "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
      printf '%s\\n' "${COMPREPLY[@]}"
      """
    let program = CommandBed.program
    let folder = String(program[..<(program.lastIndex(of: "/") ?? program.endIndex)])
    let path = ["PATH": "\(folder):/usr/local/bin:/usr/bin:/bin"]
    let result = try Shell.run(
      "bash", ["--norc", "-c", script], environment: bed.environment(environment.merging(path) { $1 }),
      in: bed.folder.path)
    #expect(result.status == 0 && result.stderr == "", "\(line): \(result.stderr)")
    return result.stdout.split(separator: "\n").map(String.init)
  }

  @Test(
    "An ID completes with latest and the backups of the repository, newest first",
    arguments: ["show", "verify", "drill", "restore", "query", "diff", "accept", "delete", "pin", "unpin"])
  func ids(command: String) throws {
    let bed = try CommandBed(rows: 20)
    let ids = try bed.makeChain(incrementals: 1)
    let expected = ["latest", ids[1], ids[0]]
    let offered = try bash(["holdfast", command, ""], bed)
    #expect(offered.filter { !$0.hasPrefix("-") } == (command == "diff" ? ["live"] : []) + expected)
    let begun = try bash(["holdfast", command, "backup_"], bed)
    #expect(begun == Array(expected.dropFirst()))
  }

  @Test("The options that were typed name the repository, also after = and with quotes")
  func options() throws {
    let bed = try CommandBed(rows: 20)
    try bed.makeDatabase(at: bed.folder.path("my other.db"), rows: 3)
    try bed.succeed("create", "--quiet", "--backup-dir", "elsewhere")
    let id = try bash(["holdfast", "show", "--backup-dir", "elsewhere", "backup_"], bed)
    #expect(id.count == 1)
    #expect(try bash(["holdfast", "show", "--backup-dir", "=", "elsewhere", "backup_"], bed) == id)
    #expect(try bash(["holdfast", "show", "--backup-dir", "'elsewhere'", "backup_"], bed) == id)
    #expect(try bash(["holdfast", "show", "backup_"], bed) == [])
    try bed.folder.write("other.toml", Array("database = \"app.db\"\nbackup_dir = \"elsewhere\"\n".utf8))
    #expect(try bash(["holdfast", "show", "--config", "other.toml", "backup_"], bed) == id)
    try bed.folder.write("other.env", Array("BACKUP_DIR=elsewhere\n".utf8))
    #expect(try bash(["holdfast", "show", "--env-file", "other.env", "backup_"], bed) == id)
    try bed.succeed("create", "my other.db", "--quiet", environment: ["DATABASE_URL": ""])
    let unnamed = ["DATABASE_URL": ""]
    for database in [["my\\ other.db"], ["\"my other.db\""], ["sqlite", ":", "'///my other.db'"]] {
      let line = ["holdfast", "restore", "--database"] + database + ["backup_"]
      #expect(try bash(line, bed, environment: unnamed).count == 1, "\(database)")
    }
  }

  @Test("A query takes one ID, and a path is completed with files")
  func others() throws {
    let bed = try CommandBed(rows: 20)
    let id = try bed.create()
    #expect(try bash(["holdfast", "query", id, ""], bed).filter { !$0.hasPrefix("-") } == [])
    #expect(try bash(["holdfast", "create", "--key-file", "ke"], bed) == ["key"])
    #expect(try bash(["holdfast", "create", "app"], bed).contains("app.db"))
    #expect(try bash(["holdfast", "list", "--backup-dir", "back"], bed) == ["backups"])
    #expect(try bash(["holdfast", "list", "--backup-dir", "=", "back"], bed) == ["backups"])
    #expect(try bash(["holdfast", "create", "--cipher", "="], bed) == ["aes-256-gcm", "aes-256-cbc"])
    #expect(try bash(["holdfast", "create", "--cipher", ""], bed) == ["aes-256-gcm", "aes-256-cbc"])
    #expect(try bash(["holdfast", "rest"], bed) == ["restore"])
  }

  @Test("Completion writes nothing, and a mistake offers nothing and says nothing")
  func silent() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    let before = try FolderDigest.of(bed.folder.path)
    func offered(_ options: [String], _ environment: [String: String] = [:]) throws -> String {
      let words = ["holdfast", "show"] + options + [""]
      let result = try Shell.run(
        CommandBed.program, ["---completion", "show", "--", "positional@0", "\(words.count - 1)", "0"] + words,
        environment: bed.environment(environment), in: bed.folder.path)
      #expect(result.status == 0 && result.stderr == "", "\(options): \(result.stderr)")
      return result.stdout
    }
    #expect(try offered([]).hasPrefix("latest\nbackup_"))
    let mistakes = [
      ["--config", "gone.toml"], ["--database", "postgres://host/db"], ["--backup-dir", "app.db"],
      ["--backup-dir", "gone"], ["--env-file", "gone"],
    ]
    for options in mistakes { #expect(try offered(options) == "\n", "\(options)") }
    #expect(try offered([], ["DATABASE_URL": "postgres://host/db"]) == "\n")
    let wrong = try bed.run("---completion", "show", "--", "positional@0", "x", "0")
    #expect(wrong.stdout == "" && wrong.stderr == "")
    #expect(before.differences(to: try FolderDigest.of(bed.folder.path)) == [])
  }

  @Test("Words come as the shells write them")
  func words() {
    #expect(TypedWords.unquoted("'a b'") == "a b" && TypedWords.unquoted("a\\ b") == "a b")
    #expect(TypedWords.unquoted("\"a'b\"") == "a'b" && TypedWords.unquoted("'a\\b'") == "a\\b")
    let typed = TypedWords(
      ["holdfast", "show", "--database", "=", "sqlite", ":", "///a.db", "", "--config=b.toml"], cursor: 7)
    #expect(typed.before == ["show", "--database=sqlite:///a.db"])
    #expect(typed.options["--database"] == "sqlite:///a.db" && typed.options["--config"] == "b.toml")
  }

  @Test("The scripts are sound in their shells", arguments: ["bash", "zsh", "fish"])
  func syntax(shell: String) throws {
    let bed = try CommandBed(rows: 1)
    guard try Shell.run("sh", ["-c", "command -v \(shell)"]).status == 0 else { return }
    try bed.folder.write("script", Array(try bed.succeed("completion", shell).utf8))
    let result = try Shell.run(shell, ["-n", bed.folder.path("script")], environment: bed.environment())
    #expect(result.status == 0 && result.stderr == "", "\(result.stderr)")
  }
}
