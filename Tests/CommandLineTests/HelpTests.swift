import TestSupport
import Testing

@testable import holdfast

@Suite("Help", .ownThread)
struct HelpTests {
  private static let all =
    [CommandDescription.root] + CommandDescription.root.subcommands.flatMap { [$0] + $0.subcommands }

  @Test("holdfast alone is one small screen: a sentence, every command in its group, three examples")
  func overview() throws {
    let bed = try CommandBed(rows: 1)
    let lines = try bed.succeed().split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    #expect(lines.count <= 25 && lines == HelpOverview.lines)
    #expect(lines.allSatisfy { $0.count <= 80 } && HelpOverview.examples.count == 3)
    let listed = HelpOverview.groups.map { ($0.title, $0.rows.flatMap(\.names)) }
    let groups = HoldfastCommand.configuration.groupedSubcommands.map { group in
      (group.name, group.subcommands.filter { $0.configuration.shouldDisplay }.map { $0._commandName })
    }
    #expect(listed.map(\.0) == groups.map(\.0))
    for (row, group) in zip(listed, groups) { #expect(Set(row.1) == Set(group.1) && row.1.count == group.1.count) }
  }

  @Test("A page is at most 80 columns wide, and says what the command does in one line")
  func pages() throws {
    for command in Self.all {
      let lines = HelpPage(command).lines
      for line in lines { #expect(line.count <= 80, "\(command.name): \(line)") }
      #expect(lines[0] == command.abstract && command.abstract.hasSuffix("."), "\(command.name): \(command.abstract)")
    }
  }

  @Test("A page discusses a command in at most six lines, and has an example")
  func discussion() throws {
    for command in Self.all.dropFirst() {
      let lines = HelpPage(command).lines
      let end = try #require(lines.firstIndex(of: "EXAMPLES:"), "\(command.name)")
      let discussion = lines[3..<max(3, end)].filter { !$0.isEmpty }
      #expect(discussion.count <= 6, "\(command.name)")
      #expect(!command.examples.isEmpty && command.examples.allSatisfy { $0.hasPrefix("holdfast \(command.name)") })
    }
  }

  @Test("Examples name commands and options that exist")
  func examples() throws {
    let reference = try CommandReference()
    for example in Self.all.flatMap(\.examples) + HelpOverview.examples {
      #expect(reference.problem(in: example) == nil, "\(example)")
    }
  }

  @Test("Common options are on a page once, and short; settings that another page describes are only named")
  func commonOptions() throws {
    let bed = try CommandBed(rows: 1)
    for arguments in [["list"], ["agent"], ["config", "check"]] {
      let result = try Shell.run(CommandBed.program, arguments + ["--help"], environment: bed.environment())
      let lines = result.stdout.split(separator: "\n").map(String.init)
      let start = try #require(lines.firstIndex(of: "COMMON OPTIONS:"))
      #expect(lines[start...].count <= 15, "\(arguments)")
      #expect(lines.count { $0.contains("--database <path-or-url>") } == 1)
    }
    let check = try bed.succeed("config", "check", "--help")
    #expect(check.contains("\nSETTINGS (see holdfast agent --help):\n") && !check.contains("BACKUP_DEBOUNCE"))
  }

  @Test(
    "A negative value is named, with a hint to paste",
    arguments: [
      ["cleanup", "--retention-days", "-1"], ["cleanup", "--max-backups", "-3"], ["list", "--limit", "-1"],
      ["schedule", "--count", "-2", "@daily"], ["agent", "--debounce", "-5s"], ["cleanup", "--keep-within", "-2d"],
      ["guard", "--keep-for", "-2d", "--", "true"], ["config", "check", "--stop-grace", "-1s"],
    ])
  func negative(arguments: [String]) throws {
    let bed = try CommandBed(rows: 1)
    let result = try Shell.run(CommandBed.program, arguments, environment: bed.environment(), in: bed.folder.path)
    let place = try #require(arguments.firstIndex { $0.hasPrefix("--") })
    let command = arguments[..<place].joined(separator: " ")
    #expect(result.status == 64)
    #expect(
      result.stderr == """
        holdfast: error: \(arguments[place]) must not be negative, and is \(arguments[place + 1])
        holdfast: hint: holdfast \(command) --help lists its options

        """)
  }

  @Test("The hint for a wrong value or option is a command that prints help")
  func hints() throws {
    let bed = try CommandBed(rows: 1)
    let calls = [
      ["cleanup", "--keep", "-5"], ["--database", "app.db", "list"], ["config", "check", "--debounce", "x"],
      ["create", "--database", "app.db", "--cipher", "rot13"], ["--bogus"],
    ]
    for arguments in calls {
      let result = try Shell.run(CommandBed.program, arguments, environment: bed.environment(), in: bed.folder.path)
      #expect(result.status == 64 && !result.stderr.contains("COMMAND"), "\(result.stderr)")
      let hint = try #require(result.stderr.firstMatch(of: #/holdfast ([a-z ]*--help|help) lists/#), "\(result.stderr)")
      let words = String(hint.1).split(separator: " ").map(String.init)
      let help = try Shell.run(CommandBed.program, words, environment: bed.environment())
      #expect(help.status == 0 && help.stdout.contains("\nUSAGE: holdfast "))
    }
  }
}
