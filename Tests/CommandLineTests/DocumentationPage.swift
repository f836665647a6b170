import FoundationEssentials

/// A page of the documentation, cut into the parts that a test acts on.
///
/// A page is Markdown. These comments are for the test, and a reader of the rendered page does not see them:
///
/// - `<!-- run: COMMANDS -->` runs commands that prepare the next block;
/// - `<!-- file: PATH -->` writes the next block to a file;
/// - `<!-- not run: REASON -->` says why the next `sh` block is not run;
/// - `<!-- json PREFIX: COMMAND -->` compares the document that the command prints with the table of its section.
struct DocumentationPage {
  /// A command of a `console` block with the output below it.
  struct Command {
    var text: String
    var output: [String]
    /// The lines of the page that contain the output.
    var lines: Range<Int>
  }

  enum Part {
    case hidden(String)
    case file(path: String, content: String)
    case console([Command])
    /// A block of commands that no test runs.
    case notRun(reason: String?)
    case json(prefix: String, command: String, section: String)
  }

  /// Relative to the package's folder.
  let path: String
  let lines: [String]
  private(set) var parts: [(line: Int, part: Part)] = []
  /// The languages of the fenced blocks that are not acted on.
  private(set) var languages: Set<String> = []
  /// The lines outside of fenced blocks, with their numbers from 0.
  private(set) var prose: [(line: Int, text: String)] = []

  init(path: String, text: String) {
    self.path = path
    lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    var index = 0
    var section = ""
    var comment: (kind: String, text: String)?
    while index < lines.count {
      let line = lines[index]
      if let heading = line.firstMatch(of: #/^#+ (.*)/#) { section = Self.anchor(String(heading.1)) }
      if line.hasPrefix("<!-- "), let found = readComment(at: &index) {
        comment = add(found, section: section)
      } else if line.hasPrefix("```") {
        readBlock(at: &index, comment)
        comment = nil
      } else {
        prose.append((index, line))
        index += 1
      }
    }
  }

  /// The name by which a link finds a heading, as GitHub makes it.
  static func anchor(_ heading: String) -> String {
    String(
      heading.lowercased().compactMap {
        $0 == " " ? "-" : $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" ? $0 : nil
      })
  }

  var anchors: Set<String> {
    Set(prose.compactMap { $0.text.firstMatch(of: #/^#+ (.*)/#).map { Self.anchor(String($0.1)) } })
  }

  /// The rows of the tables in a section: field and type.
  func fields(of section: String) -> [String: String] {
    var current = ""
    var fields: [String: String] = [:]
    for (_, line) in prose {
      if let heading = line.firstMatch(of: #/^#+ (.*)/#) { current = Self.anchor(String(heading.1)) }
      guard current == section, let row = line.firstMatch(of: #/^\| `([^`|]+)` \| ([a-z? ]+) \|/#) else { continue }
      fields[String(row.1)] = String(row.2)
    }
    return fields
  }

  /// Reads a comment that may go over several lines; nil if it is of another kind.
  private func readComment(at index: inout Int) -> (line: Int, kind: String, text: String)? {
    let start = index
    var text = lines[index]
    while !lines[index].hasSuffix("-->") {
      index += 1
      guard index < lines.count else {
        index = start
        return nil
      }
      text += "\n" + lines[index]
    }
    guard let match = text.firstMatch(of: #/^<!-- (run|file|not run|json[^:]*):\s*/#) else {
      index = start
      return nil
    }
    index += 1
    let body = text[match.range.upperBound...].dropLast(3)
    return (start, String(match.1), String(body).trimmed)
  }

  private mutating func add(
    _ comment: (line: Int, kind: String, text: String), section: String
  ) -> (kind: String, text: String)? {
    switch comment.kind {
    case "run": parts.append((comment.line, .hidden(comment.text)))
    case "file", "not run": return (comment.kind, comment.text)
    default:
      let prefix = String(comment.kind.dropFirst(4)).trimmed
      parts.append((comment.line, .json(prefix: prefix, command: comment.text, section: section)))
    }
    return nil
  }

  private mutating func readBlock(at index: inout Int, _ comment: (kind: String, text: String)?) {
    let start = index
    let language = String(lines[index].dropFirst(3))
    index += 1
    while index < lines.count, lines[index] != "```" { index += 1 }
    let content = start + 1..<min(index, lines.count)
    index += 1
    if let comment, comment.kind == "file" {
      let text = lines[content].joined(separator: "\n") + "\n"
      parts.append((start, .file(path: comment.text, content: text)))
    } else if language == "console" {
      parts.append((start, .console(commands(in: content))))
    } else if language == "sh" {
      parts.append((start, .notRun(reason: comment.flatMap { $0.kind == "not run" ? $0.text : nil })))
    } else {
      languages.insert(language)
    }
  }

  /// A command begins with `$ ` and continues with `> `, as in a shell; all other lines are output.
  private func commands(in content: Range<Int>) -> [Command] {
    var commands: [Command] = []
    for index in content {
      let line = lines[index]
      if line.hasPrefix("$ ") {
        commands.append(Command(text: String(line.dropFirst(2)), output: [], lines: index + 1..<index + 1))
      } else if line.hasPrefix("> "), let last = commands.indices.last, commands[last].output.isEmpty {
        commands[last].text += "\n" + line.dropFirst(2)
        commands[last].lines = index + 1..<index + 1
      } else if let last = commands.indices.last {
        commands[last].output.append(line)
        commands[last].lines = commands[last].lines.lowerBound..<index + 1
      }
    }
    return commands
  }
}

extension StringProtocol {
  /// Without spaces and line ends on both sides.
  var trimmed: String {
    String(String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }).reversed())
  }
}
