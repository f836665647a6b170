import FoundationEssentials
import TestSupport

/// The commands and options of the program, as ArgumentParser describes them.
struct CommandReference {
  struct Command: Decodable {
    var commandName: String
    var shouldDisplay: Bool
    var abstract: String?
    var arguments: [Argument]?
    var subcommands: [Command]?
  }

  struct Argument: Decodable {
    struct Name: Decodable {
      var kind: String
      var name: String
      var text: String { (kind == "long" ? "--" : "-") + name }
    }
    var kind: String
    var names: [Name]?
    var valueName: String?
    var abstract: String?
    var sectionTitle: String?
    var shouldDisplay: Bool
  }

  private struct Document: Decodable { var command: Command }

  let root: Command

  init() throws {
    let bed = try CommandBed(rows: 1)
    let text = try bed.succeed("--experimental-dump-help")
    root = try JSONDecoder().decode(Document.self, from: Data(text.utf8)).command
  }

  /// All commands with their full names, such as `config check`, in the order of the help.
  var commands: [(name: String, command: Command)] {
    func all(_ command: Command, _ prefix: String) -> [(name: String, command: Command)] {
      (command.subcommands ?? []).filter { $0.commandName != "help" && $0.shouldDisplay }.flatMap { child in
        [(prefix + child.commandName, child)] + all(child, prefix + child.commandName + " ")
      }
    }
    return all(root, "")
  }

  /// The generated part of `reference/commands.md`.
  var text: String {
    let common = commands.first?.command.arguments?.filter { $0.sectionTitle == "Common options" } ?? []
    let sections = commands.filter { $0.command.subcommands?.isEmpty ?? true }.map { name, command in
      let own = (command.arguments ?? []).filter {
        $0.shouldDisplay && $0.sectionTitle != "Common options" && !Self.isEverywhere($0)
      }
      return "## \(name)\n\n\(command.abstract ?? "")\n" + Self.table(own)
    }
    return "## Common options\n" + Self.table(common) + "\n" + sections.joined(separator: "\n")
  }

  private static func isEverywhere(_ argument: Argument) -> Bool {
    ["help", "version"].contains(argument.names?.first { $0.kind == "long" }?.name)
  }

  /// Options with one meaning, such as `--verify` and `--no-verify`, share a row.
  private static func table(_ arguments: [Argument]) -> String {
    guard !arguments.isEmpty else { return "" }
    var rows: [(names: [String], meaning: String)] = []
    for argument in arguments {
      let value = argument.kind == "flag" ? "" : " <\(argument.valueName ?? "value")>"
      let names = argument.names?.map { "`\($0.text)\(value)`" } ?? ["`<\(argument.valueName ?? "")>`"]
      let meaning = (argument.abstract ?? "").replacing("|", with: "\\|").replacing("<", with: "&lt;")
      if let last = rows.last, last.meaning == meaning {
        rows[rows.count - 1].names += names
      } else {
        rows.append((names, meaning))
      }
    }
    return "\n| option | meaning |\n|---|---|\n"
      + rows.map { "| \($0.names.joined(separator: ", ")) | \($0.meaning) |\n" }.joined()
  }

  /// The reason why a command line of a page cannot be right; nil if its command and options exist.
  func problem(in commandLine: String) -> String? {
    let words = commandLine.split(separator: " ").map(String.init)
    guard words.count > 1, words[0] == "holdfast", words[1].allSatisfy({ $0.isLowercase }) else { return nil }
    if ["help", "version"].contains(words[1]) { return nil }
    let pair = words.prefix(3).dropFirst().joined(separator: " ")
    let candidates = commands.filter { $0.name == words[1] || $0.name == pair }
    guard let command = candidates.last?.command else { return "there is no command \(words[1])" }
    let known = Set((command.arguments ?? []).flatMap { $0.names ?? [] }.map(\.text))
    let options = words.prefix { $0 != "--" }.filter { $0.hasPrefix("--") }
    return options.first { !known.contains($0) }.map { "\(words[1]) has no option \($0)" }
  }
}
