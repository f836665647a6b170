import ArgumentParser
import BackupEngine

/// A command with its text and its options, as the parser of arguments describes them. Help, manual
/// pages and tests read this.
struct CommandDescription: Sendable {
  /// The words after `holdfast`, such as `config check`; empty for `holdfast` itself.
  let name: String
  let abstract: String
  /// `holdfast show [<id>] [<options>]`
  let usage: String
  /// Paragraphs.
  let discussion: [String]
  /// Command lines, each followed by at least two blanks and its explanation, if it has one.
  let examples: [String]
  let arguments: [ArgumentDescription]
  let subcommands: [CommandDescription]

  /// `holdfast` itself.
  static let root: CommandDescription = {
    let dump = JSONValue(parsing: Array(HoldfastCommand._dumpHelp().utf8))
    return CommandDescription(HoldfastCommand.self, dump?["command"] ?? .null, name: "")
  }()

  /// All commands without subcommands, in the order of the help.
  var leaves: [CommandDescription] {
    subcommands.isEmpty ? [self] : subcommands.flatMap(\.leaves)
  }

  /// The command with this full name; nil if there is none.
  func named(_ name: String) -> CommandDescription? {
    self.name == name ? self : subcommands.lazy.compactMap { $0.named(name) }.first
  }

  private init(_ type: any ParsableCommand.Type, _ dump: JSONValue, name: String) {
    let configuration = type.configuration
    let parts = Self.parts(configuration.discussion)
    let arguments = dump["arguments"]?.items.compactMap(ArgumentDescription.init) ?? []
    let dumps = dump["subcommands"]?.items ?? []
    self.name = name
    abstract = configuration.abstract
    (discussion, examples) = parts
    self.arguments = arguments
    // The dump has the commands in the order of the configuration.
    subcommands = zip(configuration.subcommands, dumps).filter { $0.0.configuration.shouldDisplay }.map { child, dump in
      CommandDescription(child, dump, name: name.isEmpty ? child._commandName : "\(name) \(child._commandName)")
    }
    let words = ["holdfast", name].filter { !$0.isEmpty } + arguments.filter(\.isPositional).map(\.synopsis)
    usage =
      configuration.usage
      ?? (words + [configuration.subcommands.isEmpty ? "[<options>]" : "<subcommand>"]).joined(separator: " ")
  }

  /// The paragraphs, and the lines below `Examples:`.
  private static func parts(_ text: String) -> ([String], [String]) {
    var paragraphs: [String] = []
    var examples: [String] = []
    for part in text.split(separator: "\n\n").map(String.init) {
      guard part.hasPrefix("Examples:\n") else {
        paragraphs.append(part)
        continue
      }
      examples = part.split(separator: "\n").dropFirst().map { String($0.drop { $0 == " " }) }
    }
    return (paragraphs, examples)
  }
}

/// An argument, an option or a flag.
struct ArgumentDescription: Sendable {
  let isPositional: Bool
  /// `--at <time>` or `<id>`; the names of one flag have a `/` between them.
  private(set) var label: String
  /// The meaning and the default.
  let text: String
  /// The title of the section; empty without one.
  let section: String
  private let isOptional: Bool
  private let isRepeating: Bool

  /// Nil for arguments that no help shows, and for `--help` and `--version`.
  init?(_ dump: JSONValue) {
    let names = dump["names"]?.items.compactMap { name in
      name["name"]?.text.map { (name["kind"]?.text == "short" ? "-" : "--") + $0 }
    }
    let isStandard = names?.contains { ["--help", "--version"].contains($0) } ?? false
    guard dump["shouldDisplay"]?.flag == true, !isStandard else { return nil }
    let value = dump["valueName"]?.text.map { "<\($0)>" } ?? ""
    isPositional = dump["kind"]?.text == "positional"
    isOptional = dump["isOptional"]?.flag ?? false
    isRepeating = dump["isRepeating"]?.flag ?? false
    section = dump["sectionTitle"]?.text ?? ""
    label =
      isPositional
      ? value : (names ?? []).joined(separator: ", ") + (dump["kind"]?.text == "option" ? " \(value)" : "")
    text = Self.text(dump)
  }

  /// The form of an argument in a usage: `[<id>]`.
  var synopsis: String {
    let name = isRepeating ? "\(label) ..." : label
    return isOptional ? "[\(name)]" : name
  }

  /// The text without the default, for options that many commands have.
  var shortText: String {
    guard let start = text.firstRange(of: "; default: ") ?? text.firstRange(of: " (default: ") else { return brief }
    return text[..<start.lowerBound] + (text[start].hasPrefix(";") ? ")." : ".")
  }

  /// The text without the part after a colon, and with the variable.
  private var brief: String {
    guard let colon = text.firstIndex(of: ":"), let variable = text.lastIndex(of: "(") else { return text }
    return text[..<colon] + " " + text[variable...]
  }

  private static func text(_ dump: JSONValue) -> String {
    let abstract = dump["abstract"]?.text ?? ""
    guard let standard = dump["defaultValue"]?.text, !standard.isEmpty, !abstract.contains("default") else {
      return abstract
    }
    return abstract.hasSuffix(".") ? "\(abstract.dropLast()) (default: \(standard))." : abstract
  }

  /// Options with one meaning, such as `--verify` and `--no-verify`, in one.
  static func merged(_ arguments: [ArgumentDescription]) -> [ArgumentDescription] {
    arguments.reduce(into: []) { merged, argument in
      if let last = merged.last, last.text == argument.text, !argument.isPositional, !last.isPositional {
        merged[merged.count - 1].label += "/" + argument.label
      } else {
        merged.append(argument)
      }
    }
  }
}

extension JSONValue {
  fileprivate subscript(_ key: String) -> JSONValue? {
    if case .object(let object) = self { object[key] } else { nil }
  }

  fileprivate var text: String? {
    if case .string(let text) = self { text } else { nil }
  }

  fileprivate var flag: Bool? {
    if case .bool(let flag) = self { flag } else { nil }
  }

  fileprivate var items: [JSONValue] {
    if case .array(let items) = self { items } else { [] }
  }
}
