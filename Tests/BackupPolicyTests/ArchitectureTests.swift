import FoundationEssentials
import Testing

/// Policy decides from facts and a time, and wording makes text from values: everything that would let
/// them read the system itself is forbidden.
@Suite struct ArchitectureTests {
  @Test func policyTouchesNothing() throws {
    let sources = try Self.sources(of: "BackupPolicy")
    #expect(sources.count > 10, "the sources of BackupPolicy were not found: \(sources.keys)")
    for (name, text) in sources {
      #expect(PurityScan.policy.violations(in: text).isEmpty, "\(name)")
    }
  }

  @Test func wordingReadsNothing() throws {
    let sources = try Self.sources(of: "Wording")
    #expect(sources.count > 30, "the sources of Wording were not found: \(sources.keys)")
    for (name, text) in sources {
      #expect(PurityScan.wording.violations(in: text).isEmpty, "\(name)")
    }
  }

  /// The negative control: each forbidden thing is found if it is put into a file that passes.
  @Test(
    arguments: [
      "import Glibc", "import Foundation", "@preconcurrency import Foundation", "import Dispatch",
      "import Synchronization",
      "let manager = FileManager.default", "let now = Date()", "let now = Date.now", "let now: Timestamp = .now",
      "let clock = ContinuousClock()", "let wait = SuspendingClock().now", "let dice = Int.random(in: 1...6)",
      "var generator = SystemRandomNumberGenerator()", "points.shuffle()", "let point = points.randomElement()",
      "let id = UUID()", "print(\"hello\")", "try await Task.sleep(for: .seconds(1))", "let zone = TimeZone.current",
      "let home = ProcessInfo.processInfo.environment", "let text = try String(contentsOfFile: path)",
    ])
  func scanFinds(line: String) throws {
    let clean = try #require(try Self.sources(of: "BackupPolicy")["RestorePolicy.swift"])
    #expect(PurityScan.policy.violations(in: clean + "\n" + line) == [line])
    #expect(PurityScan.policy.violations(in: line + "\n" + clean) == [line])
  }

  /// The engine and the targets are imported for their values only.
  @Test(
    arguments: [
      "import Glibc", "import FoundationEssentials", "import BackupAgent", "import Notifications",
      "import ObjectStorage", "import ArgumentParser", "let now = SystemClock.now()", "let now = Date.now",
      "let files = SystemFileOperations()", "func lines(_ engine: Engine) -> [String] {",
      "let same = path.resolvingLinks == other", "let environment = ProcessInfo.processInfo.environment",
    ])
  func wordingScanFinds(line: String) throws {
    let clean = try #require(try Self.sources(of: "Wording")["RestoreReport.swift"])
    #expect(PurityScan.wording.violations(in: clean + "\n" + line) == [line])
  }

  /// The parser of TOML imports nothing, so it does not know that its documents are settings of backups.
  @Test func tomlStandsAlone() throws {
    let sources = try Self.sources(of: "TOML")
    #expect(!sources.isEmpty, "the sources of TOML were not found: \(sources.keys)")
    for (name, text) in sources { #expect(!text.contains("import "), "\(name)") }
  }

  @Test func scanOverlooksComments() {
    #expect(
      PurityScan.policy.violations(in: "/// random: see `Date()`\n// import Glibc\nlet nowhere = \"known\"").isEmpty)
    #expect(PurityScan.policy.violations(in: "import FoundationEssentials").isEmpty)
  }

  private static func sources(of target: String) throws -> [String: String] {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let folder = root.appending(path: "Sources/\(target)").path
    let names = try FileManager.default.subpathsOfDirectory(atPath: folder).filter { $0.hasSuffix(".swift") }
    var sources: [String: String] = [:]
    for name in names {
      sources[String(name.split(separator: "/").last ?? "")] = try String(
        contentsOfFile: folder + "/" + name, encoding: .utf8)
    }
    return sources
  }
}

private struct PurityScan {
  /// Words, matched as whole words; a leading dot means a member.
  private let forbidden: Set<String>
  private let importable: Set<String>

  static let policy = PurityScan(
    forbidden: [
      "FileManager", "Date", ".now", ".random", "SystemRandomNumberGenerator", "RandomNumberGenerator", ".shuffle",
      ".shuffled", ".randomElement", "UUID", "ContinuousClock", "SuspendingClock", "DispatchTime", "ProcessInfo",
      "Task", "print", ".sleep", ".current", "contentsOfFile", "contentsOf", "FileHandle", "Process", "Thread",
    ], importable: ["FoundationEssentials", "Names"])

  /// Also the parts of its imports that read the system. The member `now` of its own `Times` is a value.
  static let wording = PurityScan(
    forbidden: policy.forbidden.subtracting([".now"]).union([
      "SystemClock", "SystemFileOperations", "FileOperations", "Engine", "EngineEnvironment", "RemoteReader",
      "Replicator", "TimeZones", ".resolvingLinks", ".absolutePath", ".tidyAbsolutePath", ".workingFolder",
    ]), importable: ["BackupEngine", "BackupPolicy", "Names", "Replication"])

  /// The lines that use a forbidden word, without comments.
  func violations(in text: String) -> [String] {
    text.split(separator: "\n").map(String.init).filter { line in
      let code = line.firstRange(of: "//").map { String(line[..<$0.lowerBound]) } ?? line
      let words = Self.words(code)
      if let keyword = words.firstIndex(of: "import") {
        return !words.dropFirst(keyword + 1).allSatisfy(importable.contains)
      }
      return !forbidden.isDisjoint(with: words)
    }
  }

  /// Identifiers, each also with the dot in front of it.
  private static func words(_ code: String) -> [String] {
    var words: [String] = []
    var word = ""
    var dotted = false
    for character in code + " " {
      if character.isLetter || character.isNumber || character == "_" {
        word.append(character)
        continue
      }
      if !word.isEmpty { words += dotted ? [word, "." + word] : [word] }
      word = ""
      dotted = character == "."
    }
    return words
  }
}
