import FoundationEssentials
import TestSupport
import Testing

@testable import holdfast

/// The pages of `contrib/man` are generated: with `HOLDFAST_WRITE_EXAMPLES=1` in the environment this writes them anew.
@Suite("Manual pages", .ownThread)
struct ManualTests {
  private static let isWriting = ProcessInfo.processInfo.environment["HOLDFAST_WRITE_EXAMPLES"] == "1"
  private static let folder = projectFolder + "/contrib/man"
  private static let names = ["holdfast.1", "holdfast-agent.8", "holdfast.toml.5"]

  private static func text(_ path: String) throws -> String {
    try String(contentsOf: URL(filePath: path), encoding: .utf8)
  }

  @Test("contrib/man holds what the program generates")
  func pages() throws {
    let bed = try CommandBed(rows: 1)
    let folder = Self.isWriting ? Self.folder : bed.folder.path
    try bed.succeed("generate-manual", folder)
    #expect(Manual.pages.map(\.file) == Self.names)
    for name in Self.names {
      let generated = try Self.text("\(folder)/\(name)")
      #expect(try generated == Self.text("\(Self.folder)/\(name)"), "\(name) differs; see ManualTests")
    }
  }

  @Test("The command that generates them is in no list of commands")
  func hidden() throws {
    let bed = try CommandBed(rows: 1)
    #expect(CommandDescription.root.named("generate-manual") == nil && !CommandNames.all.contains("generate-manual"))
    for shell in ["bash", "zsh", "fish"] {
      #expect(try !bed.succeed("completion", shell).contains("generate-manual"), "\(shell)")
    }
  }

  @Test("Each page has the sections that people look for", arguments: Self.names)
  func sections(name: String) throws {
    let text = try Self.text("\(Self.folder)/\(name)")
    for title in ["NAME", "DESCRIPTION", "EXAMPLES", "EXIT STATUS", "FILES", "ENVIRONMENT", "SEE ALSO"] {
      #expect(text.contains("\n.SH \"\(title)\"\n"), "\(name): \(title)")
    }
    #expect(text.utf8.allSatisfy { $0 < 128 }, "\(name)")
  }

  @Test("The pages name every command, option, setting and variable")
  func complete() throws {
    let texts = try Self.names.map { try Self.text("\(Self.folder)/\($0)") }
    let root = CommandDescription.root
    for command in root.leaves {
      #expect(texts[0].contains("\n.SS \"\(ManualPage.escaped(command.usage))\"\n"), "\(command.name)")
      for label in ArgumentDescription.merged(command.arguments).map(\.label) {
        #expect(texts.contains { $0.contains(ManualPage.escaped(label)) }, "\(command.name): \(label)")
      }
    }
    for key in SettingKey.allCases {
      #expect(texts[2].contains(key.variable), "\(key)")
      if !key.isSecret { #expect(texts[2].contains("\n\\fB\(ManualPage.escaped(key.name))\\fR\n"), "\(key)") }
    }
  }

  @Test("The exit codes are those of the documentation")
  func exitCodes() throws {
    let page = try Self.text(projectFolder + "/contrib/docs/reference/exit-codes.md")
    for (code, meaning) in Manual.exitCodes { #expect(page.contains("\n| \(code) | \(meaning) |\n"), "\(code)") }
    #expect(page.matches(of: #/\n\| \d+ (?=\|)/#).count == Manual.exitCodes.count)
  }

  @Test("roff reads the pages without a warning", arguments: Self.names)
  func roff(name: String) throws {
    guard try Shell.run("sh", ["-c", "command -v groff"]).status == 0 else { return }
    let result = try Shell.run("groff", ["-man", "-ww", "-Tutf8", "-z", "\(Self.folder)/\(name)"])
    #expect(result.status == 0 && result.stderr == "", "\(result.stderr)")
  }
}
