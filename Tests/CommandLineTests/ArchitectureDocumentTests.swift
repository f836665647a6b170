import FoundationEssentials
import TestSupport
import Testing

/// `contrib/docs/ARCHITECTURE.md` names files, functions, folders, tests and claims: each exists.
@Suite("Architecture document", .ownThread)
struct ArchitectureDocumentTests {
  private let page: DocumentationPage
  /// The page without its blocks, in one line, so that a name and its file stand together.
  private let text: String

  init() throws {
    let path = "contrib/docs/ARCHITECTURE.md"
    page = DocumentationPage(path: path, text: try Self.read(path))
    text = page.prose.map(\.text.trimmed).joined(separator: " ")
  }

  @Test("Each file that it names exists")
  func files() {
    let names = Set(text.matches(of: #/`([\w+.\/-]+\.(?:swift|md|py))`/#).map { String($0.1) })
    #expect(names.count > 50)
    for name in names.sorted() { #expect(Self.content(of: name) != nil, "there is no \(name)") }
  }

  @Test("Each function is in the file that it names with it")
  func functions() throws {
    var count = 0
    for match in text.matches(of: #/((?:`\w+`(?:, | or | and )?)+) \(`([\w+.\/-]+\.swift)`/#) {
      guard let source = Self.content(of: String(match.2)) else { continue }
      for name in match.1.matches(of: #/\w+/#).map({ String($0.0) }) where name != "or" && name != "and" {
        count += 1
        #expect(try Self.declares(name, source), "there is no \(name) in \(match.2)")
      }
    }
    #expect(count > 100)
  }

  @Test("It names each folder of Sources, and no other")
  func folders() throws {
    let root = projectFolder + "/Sources"
    let all = try FileManager.default.subpathsOfDirectory(atPath: root).filter { Self.isFolder("\(root)/\($0)") }
    let named = text.matches(of: #/`(\w[\w\/.]*)\/`/#).map { String($0.1) }
    #expect(Set(named) == Set(all), "\(Set(named).symmetricDifference(all).sorted())")
  }

  @Test("Each suite and test that it names exists")
  func tests() throws {
    let suites = try Self.suites()
    let cited = text.matches(of: #/`([A-Z]\w*Tests)(?:\.(\w+))?`/#)
    #expect(cited.count > 50)
    for match in cited {
      guard let source = suites[String(match.1)] else {
        Issue.record("there is no suite \(match.1)")
        continue
      }
      guard let name = match.2 else { continue }
      #expect(source.contains("func \(name)("), "there is no test \(match.1).\(name)")
    }
  }

  @Test("Each path has ten steps, and each step names a file")
  func paths() throws {
    var steps: [String: [String]] = [:]
    var (chapter, section) = ("", "")
    for line in page.prose.map(\.text) {
      if line.hasPrefix("## ") { chapter = String(line.dropFirst(3)) }
      if line.hasPrefix("### ") { section = String(line.dropFirst(4)) }
      guard chapter == "Paths", !section.isEmpty else { continue }
      if line.firstMatch(of: #/^\d+\. /#) != nil {
        steps[section, default: []].append(line)
      } else if let last = steps[section]?.indices.last {
        steps[section]?[last] += " \(line)"
      }
    }
    #expect(steps.count == 6)
    for (section, steps) in steps {
      #expect(steps.count == 10, "\(section)")
      for step in steps { #expect(step.contains(".swift`"), "\(section): \(step)") }
    }
  }

  @Test("Claims are numbered without a gap, and each has a premise, a reason, a place and tests")
  func claims() throws {
    let claims = Self.claims(page)
    for letter in ["T", "C"] {
      let numbers = claims.map(\.name).filter { $0.hasPrefix(letter) }
      #expect(numbers == (1...numbers.count).map { "\(letter)\($0)" })
    }
    for claim in claims {
      for part in ["Premise", "Claim", "Why", "Place", "Tests"] {
        #expect(claim.lines.contains { $0.hasPrefix("- \(part): ") }, "\(claim.name) has no \(part)")
      }
    }
  }

  @Test("Comments of the code cite claims that exist")
  func citations() throws {
    let known = Set(Self.claims(page).map(\.name))
    var count = 0
    for (name, source) in try Self.sources(in: "Sources") {
      for line in source.split(separator: "\n") where line.contains("ARCHITECTURE.md") {
        let cited = line.matches(of: #/\b[TC]\d+\b/#).map { String($0.0) }
        count += cited.count
        #expect(!cited.isEmpty && known.isSuperset(of: cited), "\(name): \(line)")
      }
    }
    #expect(count > 10)
  }

  // MARK: Reading

  private static func claims(_ page: DocumentationPage) -> [(name: String, lines: [String])] {
    var claims: [(name: String, lines: [String])] = []
    for line in page.prose.map(\.text) {
      if let match = line.firstMatch(of: #/^### ([TC]\d+)\. /#) { claims.append((String(match.1), [])) }
      if let last = claims.indices.last { claims[last].lines.append(line) }
    }
    return claims
  }

  private static func declares(_ name: String, _ source: String) throws -> Bool {
    if name == "init" { return source.contains("init(") || source.contains("init?(") }
    return source.contains(try Regex("\\b(?:func|var|let|case|class|struct|enum) \(name)\\b"))
  }

  private static func read(_ path: String) throws -> String {
    try String(contentsOfFile: "\(projectFolder)/\(path)", encoding: .utf8)
  }

  /// A file below `Sources`, or from the project's folder.
  private static func content(of name: String) -> String? { (try? read("Sources/\(name)")) ?? (try? read(name)) }

  private static func isFolder(_ path: String) -> Bool {
    (try? FileManager.default.contentsOfDirectory(atPath: path)) != nil
  }

  private static func sources(in folder: String) throws -> [(name: String, text: String)] {
    let names = try FileManager.default.subpathsOfDirectory(atPath: "\(projectFolder)/\(folder)")
    return try names.filter { $0.hasSuffix(".swift") }.map { ("\(folder)/\($0)", try read("\(folder)/\($0)")) }
  }

  /// The text of each suite's file, by the suite's name.
  private static func suites() throws -> [String: String] {
    var suites: [String: String] = [:]
    for (_, text) in try sources(in: "Tests") {
      for match in text.matches(of: #/\b(?:struct|class) (\w+Tests)\b/#) {
        suites[String(match.1), default: ""] += text
      }
    }
    return suites
  }
}
