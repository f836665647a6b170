/// A page of help of at most 80 columns.
struct HelpPage {
  let lines: [String]

  /// The title of the options that most commands have, which each page shows in brief.
  static let commonOptions = "Common options"
  /// The title of options that are only named, because another page describes them.
  static let settings = "Settings"

  private static let columns = 80
  static let labelColumns = 26

  init(_ command: CommandDescription) {
    guard !command.name.isEmpty else {
      lines = HelpOverview.lines
      return
    }
    var blocks = [Self.wrapped(command.abstract), ["USAGE: \(command.usage)"]]
    blocks += command.discussion.map { Self.wrapped($0) }
    if !command.examples.isEmpty { blocks.append(["EXAMPLES:"] + command.examples.map { "  \($0)" }) }
    if !command.subcommands.isEmpty {
      blocks.append(["COMMANDS:"] + command.subcommands.flatMap { Self.entry($0.name, $0.abstract) })
    }
    blocks += Self.sections(command.arguments)
    lines = Array(blocks.joined(separator: [""]))
  }

  /// Replaces a page that the parser of arguments wrote; any other text stays as it is.
  static func rendered(_ page: String) -> String {
    guard page.hasPrefix("OVERVIEW: ") || page.hasPrefix("USAGE: "),
      let usage = page.split(separator: "\n").first(where: { $0.hasPrefix("USAGE: holdfast") })
    else { return page }
    let words = usage.split(separator: " ").dropFirst(2).prefix { $0.allSatisfy { $0.isLetter || $0 == "-" } }
      .prefix { !$0.hasPrefix("-") }
    guard let command = CommandDescription.root.named(words.joined(separator: " ")) else { return page }
    return HelpPage(command).lines.joined(separator: "\n")
  }

  /// Arguments first, then options without a title, then each title.
  private static func sections(_ arguments: [ArgumentDescription]) -> [[String]] {
    let options = arguments.filter { !$0.isPositional }
    var titles: [String] = []
    for option in options where !titles.contains(option.section) { titles.append(option.section) }
    let ordered = titles.filter { $0.isEmpty } + titles.filter { !$0.isEmpty && $0 != commonOptions }
    return section("Arguments", arguments.filter(\.isPositional))
      + (ordered + [commonOptions]).flatMap { title in
        section(title.isEmpty ? "Options" : title, options.filter { $0.section == title })
      }
  }

  private static func section(_ title: String, _ arguments: [ArgumentDescription]) -> [[String]] {
    guard !arguments.isEmpty else { return [] }
    let merged = ArgumentDescription.merged(arguments)
    guard title != settings else {
      let names = merged.map { $0.label.split(separator: " ")[0] }.joined(separator: ", ")
      return [["SETTINGS (see holdfast agent --help):"] + wrapped(names, indent: 2)]
    }
    let isShort = title == commonOptions
    return [["\(title.uppercased()):"] + merged.flatMap { entry($0.label, isShort ? $0.shortText : $0.text) }]
  }

  /// A label and its text beside it, or below it if the label is long.
  static func entry(_ label: String, _ text: String, labels: Int = labelColumns) -> [String] {
    let head = "  " + label
    let body = wrapped(text, indent: labels)
    guard let first = body.first, head.count < labels else { return [head] + body }
    return [head + first.dropFirst(head.count)] + body.dropFirst()
  }

  /// The words of a text in lines. Lines that begin with two blanks stay as they are.
  static func wrapped(_ text: String, indent: Int = 0) -> [String] {
    let margin = String(repeating: " ", count: indent)
    return text.split(separator: "\n").flatMap { line -> [String] in
      guard !line.hasPrefix("  ") else { return [margin + line] }
      var lines: [String] = []
      for word in line.split(separator: " ") {
        if let last = lines.last, last.count + 1 + word.count <= columns {
          lines[lines.count - 1] += " " + word
        } else {
          lines.append(margin + word)
        }
      }
      return lines
    }
  }
}
