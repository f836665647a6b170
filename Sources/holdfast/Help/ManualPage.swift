import BackupEngine

/// A manual page in the language of `man`: ASCII, with every character escaped that roff would read
/// as a request.
struct ManualPage {
  /// `holdfast(1)` is `("holdfast", 1)`.
  typealias Reference = (name: String, section: Int)

  private var lines: [String]

  init(_ page: Reference, _ summary: String) {
    lines = [
      ".\\\" Generated from the program by holdfast generate-manual. Do not edit.",
      ".TH \(page.name.uppercased()) \(page.section) \"\" \"Holdfast \(holdfastVersion)\" \"Holdfast manual\"",
      // Names stay whole, so that a search finds them.
      ".nh", ".ad l",
    ]
    heading("Name")
    lines.append("\(Self.escaped(page.name)) \\- \(Self.escaped(summary))")
  }

  var text: String { lines.joined(separator: "\n") + "\n" }

  mutating func heading(_ title: String) { lines.append(".SH \(Self.quoted(title.uppercased()))") }

  mutating func subheading(_ title: String) { lines.append(".SS \(Self.quoted(title))") }

  mutating func paragraph(_ text: String) {
    let rows = text.split(separator: "\n").map(String.init)
    // Lines that begin with two blanks stay as they are.
    if rows.allSatisfy({ $0.hasPrefix("  ") }) { return example(rows.map { String($0.dropFirst(2)) }) }
    lines += [".PP", Self.line(text)]
  }

  /// A term in bold, and its meaning.
  mutating func item(_ term: String, _ text: String) {
    lines += [".TP", "\\fB\(Self.escaped(term))\\fR", Self.line(text)]
  }

  mutating func synopsis(_ commands: [String]) {
    for (index, command) in commands.enumerated() {
      if index > 0 { lines.append(".br") }
      lines.append("\\fB\(Self.escaped(command))\\fR")
    }
  }

  /// Adds lines exactly as they are typed.
  mutating func example(_ text: [String]) {
    lines += [".PP", ".nf", ".RS 4"] + text.map(Self.line) + [".RE", ".fi"]
  }

  mutating func seeAlso(_ pages: [Reference]) {
    heading("See also")
    lines.append(pages.map { "\\fB\(Self.escaped($0.name))\\fR(\($0.section))" }.joined(separator: ", "))
  }

  private static func quoted(_ text: String) -> String { "\"\(escaped(text))\"" }

  /// A line of text, which roff must not treat as a request.
  private static func line(_ text: String) -> String {
    let escaped = escaped(text)
    return escaped.hasPrefix(".") || escaped.hasPrefix("'") ? "\\&\(escaped)" : escaped
  }

  static func escaped(_ text: String) -> String {
    text.map { character in
      switch character {
      case "\\": "\\e"
      case "-": "\\-"
      case "'": "\\(aq"
      case "\"": "\\(dq"
      case "`": "\\(ga"
      case "~": "\\(ti"
      case "^": "\\(ha"
      case "…": "..."
      case "\n": " "
      default: String(character)
      }
    }.joined()
  }
}
