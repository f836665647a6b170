import TestSupport
import Testing

@Suite("On a terminal", .ownThread)
struct TerminalTests {
  @Test("restore continues after a yes, with a progress bar that leaves nothing behind", arguments: ["y\n", "YES\n"])
  func yes(answer: String) throws {
    let bed = try CommandBed()
    _ = try bed.create()
    _ = try bed.value("DELETE FROM entries")
    let terminal = try PseudoTerminal.run(bed, ["restore", "latest"], answer: answer)
    #expect(terminal.status == 0, "\(terminal.text)")
    #expect(try bed.value("SELECT count(*) FROM entries") == "1234")
    let text = terminal.text
    let question = try #require(text.firstRange(of: "Restore? [y/N] "))
    let plan = try #require(text.firstRange(of: "1. make sure that"))
    let bar = try #require(text.firstRange(of: "\r\u{1b}[2Krestoring ["))
    let result = try #require(text.firstRange(of: "\r\u{1b}[2K✓ restored"))
    #expect(plan.lowerBound < question.lowerBound && question.lowerBound < bar.lowerBound)
    #expect(bar.lowerBound < result.lowerBound)
  }

  @Test("Any answer but yes changes nothing", arguments: ["n\n", "\n", "yep\n", "\u{4}"])
  func no(answer: String) throws {
    let bed = try CommandBed()
    _ = try bed.create()
    for command in ["restore", "delete"] {
      let before = try FolderDigest.of(bed.folder.path)
      let terminal = try PseudoTerminal.run(bed, [command, "latest"], answer: answer)
      #expect(terminal.status == 8, "\(terminal.text)")
      #expect(terminal.text.contains("holdfast: error: nothing was changed: it was not confirmed"))
      #expect(before.differences(to: try FolderDigest.of(bed.folder.path)) == [])
    }
  }

  @Test("Ctrl-C at the question changes nothing")
  func interrupted() throws {
    let bed = try CommandBed()
    _ = try bed.create()
    let before = try FolderDigest.of(bed.folder.path)
    let terminal = try PseudoTerminal.run(bed, ["delete", "latest"], answer: "\u{3}")
    #expect(terminal.status == -2, "\(terminal.text)")
    #expect(before.differences(to: try FolderDigest.of(bed.folder.path)) == [])
  }

  @Test("Ctrl-C at the question of a restore of tables ends it and leaves nothing behind")
  func interruptedTables() throws {
    let bed = try CommandBed()
    _ = try bed.create()
    // A file that does not exist yet is created without a question.
    let other = bed.folder.path("other.db")
    #expect(try Shell.run("sqlite3", [other, "CREATE TABLE unrelated (x)"]).status == 0)
    let before = try FolderDigest.of(bed.folder.path)
    let terminal = try PseudoTerminal.run(
      bed, ["restore", "latest", "--table", "entries", "--to", other], answer: "\u{3}")
    #expect(terminal.status == 130 && terminal.text.contains("interrupted"), "\(terminal.text)")
    #expect(before.differences(to: try FolderDigest.of(bed.folder.path)) == [])
  }

  @Test("--json never asks")
  func document() throws {
    let bed = try CommandBed()
    _ = try bed.create()
    let terminal = try PseudoTerminal.run(bed, ["restore", "latest", "--json"], answer: "y\n")
    #expect(terminal.status == 8)
    #expect(!terminal.text.contains("[y/N]"))
    _ = try decode(Refusal.self, terminal.text)
  }

  @Test("--quiet and a dumb terminal get no progress bar")
  func noBar() throws {
    let bed = try CommandBed()
    let quiet = try PseudoTerminal.run(bed, ["create", "--quiet"], answer: "")
    #expect(quiet.status == 0 && bed.normalised(quiet.text) == "ID\r\n")
  }

  @Test("The password cannot be read anywhere while the program waits")
  func secrets() throws {
    let bed = try CommandBed(rows: 20)
    let secret = "Tr0ub4dor-and-3"
    let environment = ["BACKUP_ENCRYPTION_KEY_FILE": "", "BACKUP_ENCRYPTION_PASSWORD": secret]
    _ = try bed.create(environment)
    let terminal = try PseudoTerminal.run(bed, ["restore", "latest"], answer: "y\n", environment: environment)
    #expect(terminal.status == 0, "\(terminal.text)")
    #expect(terminal.cmdline.contains("restore") && !terminal.cmdline.contains(secret))
    // If the environment can be read at all (root may), it contains the other variables but not the
    // password.
    #expect(terminal.environ == "(not for us)" || terminal.environ.contains("BACKUP_ENCRYPTION_PASSWORD="))
    #expect(!terminal.environ.contains("Tr0ub"))
    #expect(!terminal.text.contains(secret))
  }
}
