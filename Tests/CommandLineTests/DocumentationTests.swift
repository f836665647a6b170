import FoundationEssentials
import TestSupport
import Testing

/// Runs each command that README.md and `contrib/docs` show, and compares its output with the page.
///
/// With `HOLDFAST_WRITE_EXAMPLES=1` in the environment this writes the output and the generated
/// parts anew.
@Suite("Documentation", .ownThread)
struct DocumentationTests {
  private static let isWriting = ProcessInfo.processInfo.environment["HOLDFAST_WRITE_EXAMPLES"] == "1"

  static let pages: [String] = {
    let folder = projectFolder + "/contrib/docs"
    let names = (try? FileManager.default.subpathsOfDirectory(atPath: folder)) ?? []
    return ["README.md"] + names.filter { $0.hasSuffix(".md") }.map { "contrib/docs/\($0)" }.sorted()
  }()

  /// The number of blocks of commands that a page may show without a test that runs them. Each has
  /// its reason in a comment.
  private static let notRun = [
    "README.md": 2,
    "contrib/docs/guide/back-up.md": 1,
    "contrib/docs/guide/guard-a-migration.md": 1,
    "contrib/docs/guide/know-that-it-works.md": 1,
    "contrib/docs/guide/move.md": 1,
    "contrib/docs/guide/restore.md": 1,
    "contrib/docs/guide/services.md": 3,
    "contrib/docs/reference/commands.md": 1,
  ]

  private static func read(_ path: String) throws -> DocumentationPage {
    let url = URL(filePath: projectFolder).appending(path: path)
    return DocumentationPage(path: path, text: try String(contentsOf: url, encoding: .utf8))
  }

  @Test("Each command prints the output that the page shows", arguments: pages)
  func commands(path: String) throws {
    let page = try Self.read(path)
    let bed = try DocumentationBed()
    try bed.run(page)
    let replaced = bed.differences.compactMap(\.output)
    if Self.isWriting, !replaced.isEmpty {
      try Self.write(page, replaced)
    } else {
      for difference in bed.differences { Issue.record("\(path):\(difference.line + 1): \(difference.message)") }
    }
  }

  private static func write(_ page: DocumentationPage, _ replaced: [(lines: Range<Int>, text: [String])]) throws {
    var lines = page.lines
    for (range, text) in replaced.reversed() { lines.replaceSubrange(range, with: text) }
    let url = URL(filePath: projectFolder).appending(path: page.path)
    try Data(lines.joined(separator: "\n").utf8).write(to: url)
  }

  @Test("A page with wrong output, a failing command or wrong fields is detected")
  func control() throws {
    let sound = """
      <!-- run: sqlite3 app.db "CREATE TABLE a(b); INSERT INTO a VALUES (1)" -->
      ```console
      $ holdfast init | head -n 1
      Backups      /srv/app/backups
      $ holdfast create --database app.db --quiet
      backup_20231116_143022
      $ holdfast query backup_20231116_143022 "SELECT b FROM a" --database /srv/app/app.db --csv
      …
      1
      $ false
      $ echo $?
      1
      ```
      # pin
      <!-- json: holdfast pin latest --database app.db --json -->
      | `backup_id` | string | |
      | `changed` | boolean | |
      | `pinned` | boolean | |
      | `until` | string or null? | |
      """
    func differences(_ change: (String, String)? = nil) throws -> Int {
      let text = change.map { sound.replacing($0, with: $1) } ?? sound
      let bed = try DocumentationBed()
      try bed.run(DocumentationPage(path: "control", text: text))
      return bed.differences.count
    }
    #expect(try differences() == 0)
    #expect(try differences(("/srv/app/backups", "/srv/app/backup")) == 1)
    #expect(try differences(("…\n1\n", "…\n2\n")) == 1)
    #expect(try differences(("$ echo $?\n1\n", "")) == 1)
    #expect(try differences(("CREATE TABLE a(b)", "CREATE TABLE")) > 1)
    #expect(try differences(("| `pinned` | boolean | |\n", "")) == 1)
    #expect(try differences(("`pinned` | boolean", "`pinned` | string")) == 1)
    #expect(try differences(("| `pinned`", "| `other` | string | |\n| `pinned`")) == 1)
  }

  @Test("Each block that no test runs gives a reason and is counted in this suite")
  func blocksNotRun() throws {
    var counts: [String: Int] = [:]
    for path in Self.pages {
      for (line, part) in try Self.read(path).parts {
        guard case .notRun(let reason) = part else { continue }
        counts[path, default: 0] += 1
        #expect(reason?.isEmpty == false, "\(path):\(line + 1): a `sh` block without <!-- not run: REASON -->")
      }
    }
    print("Documentation: \(counts.values.reduce(0, +)) blocks of commands are not run")
    #expect(counts == Self.notRun)
  }

  @Test("Blocks are of known languages: commands are in `console`, or in `sh` if no test runs them")
  func languages() throws {
    for path in Self.pages {
      let page = try Self.read(path)
      #expect(page.languages.isSubset(of: ["toml", "swift", "text", "yaml", "json"]), "\(path): \(page.languages)")
    }
  }

  @Test("Links lead to existing pages, headings and pictures", arguments: pages)
  func links(path: String) throws {
    let page = try Self.read(path)
    let folder = URL(filePath: projectFolder).appending(path: path).deletingLastPathComponent()
    for (line, text) in page.prose {
      for match in text.matches(of: #/\]\(([^)\s]+)\)/#) where !match.1.hasPrefix("http") {
        let parts = match.1.split(separator: "#", omittingEmptySubsequences: false).map(String.init)
        let target =
          parts[0].isEmpty ? URL(filePath: projectFolder).appending(path: path) : folder.appending(path: parts[0])
        guard let data = try? Data(contentsOf: target) else {
          Issue.record("\(path):\(line + 1): there is no \(match.1)")
          continue
        }
        guard parts.count > 1 else { continue }
        let anchors = DocumentationPage(path: "", text: String(decoding: data, as: UTF8.self)).anchors
        #expect(anchors.contains(parts[1]), "\(path):\(line + 1): there is no heading \(match.1)")
      }
    }
  }

  @Test("Lines have at most 100 columns and paragraphs at most five lines", arguments: pages)
  func layout(path: String) throws {
    var paragraph = 0
    for (line, text) in try Self.read(path).prose {
      let isTable = text.hasPrefix("|")
      #expect(isTable || text.count <= 100, "\(path):\(line + 1): \(text.count) columns")
      let isItem = text.firstMatch(of: #/^ *([-*]|\d+\.) /#) != nil
      let isProse = !text.isEmpty && !isTable && !text.hasPrefix("#") && !text.hasPrefix("<!--")
      paragraph = !isProse ? 0 : isItem ? 1 : paragraph + 1
      #expect(paragraph <= 5, "\(path):\(line + 1): a paragraph of more than five lines")
    }
  }

  @Test("The README has at most 10 KB")
  func readmeSize() throws {
    #expect(try Self.read("README.md").lines.joined(separator: "\n").utf8.count <= 10_240)
  }

  @Test("Commands in the text have existing names and options", arguments: pages)
  func commandsInText(path: String) throws {
    let reference = try CommandReference()
    for (line, text) in try Self.read(path).prose {
      for match in text.matches(of: #/`(holdfast [^`]+)`/#) {
        let problem = reference.problem(in: String(match.1))
        #expect(problem == nil, "\(path):\(line + 1): \(match.1)")
      }
    }
  }

  @Test("The list of commands equals the program's")
  func commandReference() throws {
    let url = URL(filePath: projectFolder).appending(path: "contrib/docs/reference/commands.md")
    let text = try String(contentsOf: url, encoding: .utf8)
    let first = try #require(text.firstRange(of: "<!-- commands -->\n"))
    let last = try #require(text.firstRange(of: "<!-- end of commands -->\n"))
    let expected = text[..<first.upperBound] + "\n" + (try CommandReference().text) + "\n" + text[last.lowerBound...]
    if Self.isWriting {
      try Data(expected.utf8).write(to: url)
    } else {
      #expect(text == expected, "commands.md is not what the program says; see DocumentationTests")
    }
  }
}
