import FoundationEssentials
import TestSupport
import Testing

/// The examples in the library's documentation: each public type has one, and they compile.
@Suite("The library's documentation", .ownThread)
struct UsageTests {
  private static let targets = ["Names", "BackupPolicy", "BackupEngine", "BackupAgent"]

  @Test("Each public type has an example")
  func everyType() throws {
    let declaration = #/public (?:final )?(?:class|struct|enum|protocol|actor|typealias) /#
    for (path, text) in try Self.files(ending: ".swift") {
      var comment = ""
      for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
        if line.hasPrefix("///") || line.hasPrefix("@") {
          comment += line
        } else {
          let isType = line.hasPrefix("public ") && line.starts(with: declaration)
          if isType { #expect(comment.contains("```swift"), "\(path): \(line)") }
          comment = ""
        }
      }
    }
  }

  @Test("The examples compile")
  func examples() throws {
    let program = try "import BackupAgent\n\n" + Self.examples().enumerated().map(Self.function).joined(separator: "\n")
    let folder = try TemporaryFolder()
    let file = try folder.write("examples.swift", Array(program.utf8))
    let modules = folderOfThisProcess + "/Modules"
    let shims = ["-Xcc", "-fmodule-map-file=\(folderOfThisProcess)/CShims.build/module.modulemap"]
    let libraries = ["CSQLite", "COpenSSL", "CZlib", "CISAL", "CXXHash", "CCurl"]
    let search = libraries.flatMap { ["-I", "\(projectFolder)/Sources/\($0)"] }
    let result = try Shell.run("swiftc", ["-typecheck", "-swift-version", "6", "-I", modules, file] + shims + search)
    #expect(result.status == 0, "\(result.stderr)")
  }

  /// Each Swift block of the comments and pages, with the file that it is in. A block about Package.swift is no example.
  private static func examples() throws -> [(path: String, code: String)] {
    var found: [(path: String, code: String)] = []
    let comments = try files(ending: ".swift").map { ($0.path, uncommented($0.text)) }
    let pages = try files(ending: ".md") + [page("contrib/docs/reference/library.md")]
    for (path, text) in comments + pages {
      for block in text.split(separator: "```swift\n").dropFirst() {
        let code = block.prefix(upTo: block.firstRange(of: "```")?.lowerBound ?? block.endIndex)
        if !code.hasPrefix(".package(") { found.append((path, String(code))) }
      }
    }
    return found
  }

  /// The names that the examples use without declaring them.
  private static func function(number: Int, example: (path: String, code: String)) -> String {
    """
    // \(example.path)
    func example\(number)(
      service: BackupService, scheduler: BackupScheduler, backup: PointMetadata, password: String,
      configuration: inout BackupSchedulerConfiguration, migrate: () async throws -> Void
    ) async throws {
    \(example.code.split(separator: "\n").filter { !$0.hasPrefix("import ") }.joined(separator: "\n"))
    }

    """
  }

  /// The text of documentation comments, and an empty line for each other line.
  private static func uncommented(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      let comment = line.drop { $0 == " " }
      guard comment.hasPrefix("///") else { return "" }
      return String(comment.dropFirst(comment.hasPrefix("/// ") ? 4 : 3))
    }.joined(separator: "\n")
  }

  private static func files(ending: String) throws -> [(path: String, text: String)] {
    try targets.flatMap { target in
      try FileManager.default.subpathsOfDirectory(atPath: "\(projectFolder)/Sources/\(target)")
        .filter { $0.hasSuffix(ending) }.sorted().map { try page("Sources/\(target)/\($0)") }
    }
  }

  private static func page(_ path: String) throws -> (path: String, text: String) {
    (path, try String(contentsOf: URL(filePath: "\(projectFolder)/\(path)"), encoding: .utf8))
  }
}
