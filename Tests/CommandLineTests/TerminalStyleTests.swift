import TestSupport
import Testing

@testable import holdfast

@Suite("Lines on a terminal", .ownThread)
struct TerminalStyleTests {
  @Test(
    "Long lines are broken between words, below the start of their text",
    arguments: [
      ("short", ["short"]),
      ("one two three four five", ["one two three four", "  five"]),
      ("    Status  one two three four five six", ["    Status  one two three four", "            five six"]),
      ("  ✓ one two three four", ["  ✓ one two three", "    four"]),
      ("  12. one two three four", ["  12. one two", "      three four"]),
      ("/a/very/long/path/that/is/whole", ["/a/very/long/path/that/is/whole"]),
      ("in /a/very/long/path/that/is/whole now", ["in", "  /a/very/long/path/that/is/whole", "  now"]),
      ("    ├─ one two three four", ["    ├─ one two", "    │  three four"]),
    ])
  func broken(line: String, pieces: [String]) {
    #expect(TerminalStyle.broken(line, line.contains("Status") ? 30 : 18) == pieces)
  }

  @Test("Marks have colours, and letters within words have no colour")
  func colours() {
    #expect(TerminalStyle.coloured("✓ fine") == "\u{1b}[32m✓\u{1b}[0m fine")
    #expect(TerminalStyle.coloured("    Status  ✗ failed") == "    Status  \u{1b}[31m✗\u{1b}[0m failed")
    #expect(TerminalStyle.coloured("  ! beware ! of this") == "  \u{1b}[33m!\u{1b}[0m beware ! of this")
    #expect(TerminalStyle.coloured("holdfast: error: no") == "holdfast: \u{1b}[31merror:\u{1b}[0m no")
    let style = TerminalStyle(width: nil, hasColours: false)
    #expect(
      style.rendered(["✓ a line that is as long as it likes to be"]) == ["✓ a line that is as long as it likes to be"])
  }

  @Test("A terminal gets colours unless NO_COLOR is set, and a pipe never does")
  func terminal() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    let coloured = try PseudoTerminal.run(bed, ["verify", "latest"], answer: "", environment: ["NO_COLOR": ""])
    #expect(coloured.status == 0 && coloured.text.contains("\u{1b}[32m✓\u{1b}[0m verified"), "\(coloured.text)")
    let plain = try PseudoTerminal.run(bed, ["verify", "latest"], answer: "", environment: ["NO_COLOR": "1"])
    #expect(plain.text.contains("✓ verified") && !plain.text.contains("[32m"))
    #expect(try !bed.succeed("verify", "latest").contains("\u{1b}"))
  }
}
