import FoundationEssentials
import TestSupport
import Testing
import Wording

@testable import holdfast

/// The example files and the documentation's table equal the table of settings.
///
/// With `HOLDFAST_WRITE_EXAMPLES=1` in the environment this writes them anew.
@Suite("Examples and documentation of settings", .ownThread)
struct ExampleTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  private func compare(_ path: String, _ update: (String) throws -> String) throws {
    let file = Self.root.appending(path: path)
    let current = try String(contentsOf: file, encoding: .utf8)
    let expected = try update(current)
    if ProcessInfo.processInfo.environment["HOLDFAST_WRITE_EXAMPLES"] == "1" {
      try Data(expected.utf8).write(to: file)
    } else {
      #expect(current == expected, "\(path) is not what the table of settings says; see ExampleTests")
    }
  }

  @Test("config/holdfast.example.toml has every setting, its default and its reason")
  func toml() throws {
    try compare("config/holdfast.example.toml") { _ in SettingsTemplate().text }
  }

  @Test("config/holdfast.env.example has every setting, its default and its reason")
  func environment() throws {
    try compare("config/holdfast.env.example") { _ in Self.environmentExample }
  }

  @Test("The documentation's table equals the table of settings")
  func documentation() throws {
    let (start, end) = ("<!-- settings -->\n", "<!-- end of settings -->\n")
    try compare("contrib/docs/reference/settings.md") { text in
      let first = try #require(text.firstRange(of: start))
      let last = try #require(text.firstRange(of: end))
      return text[..<first.upperBound] + Self.documentationTable + text[last.lowerBound...]
    }
  }

  @Test("The documentation's table of the settings of a target equals the table of settings")
  func targets() throws {
    let (start, end) = ("<!-- settings of a target -->\n", "<!-- end of settings of a target -->\n")
    try compare("contrib/docs/reference/settings.md") { text in
      let first = try #require(text.firstRange(of: start))
      let last = try #require(text.firstRange(of: end))
      return text[..<first.upperBound] + Self.targetTable + text[last.lowerBound...]
    }
  }

  @Test("The documentation's table of metrics equals the list of metrics")
  func metrics() throws {
    let (start, end) = ("<!-- metrics -->\n", "<!-- end of metrics -->\n")
    try compare("contrib/docs/reference/metrics.md") { text in
      let first = try #require(text.firstRange(of: start))
      let last = try #require(text.firstRange(of: end))
      return text[..<first.upperBound] + Self.metricsTable + text[last.lowerBound...]
    }
  }

  @Test("The targets of holdfast.example.toml are sound if their comments are removed, and give the defaults")
  func parsesTargets() throws {
    let bed = try ConfigurationBed()
    let text = SettingsTemplate().text
    let start = try #require(text.firstRange(of: "#   [[targets]]\n")).lowerBound
    let tables = text[start...].split(separator: "\n").map { $0.dropFirst(4) }.filter { !$0.hasPrefix("# ") }
    let configuration = try bed.configuration(toml: "database = \"app.db\"\n" + tables.joined(separator: "\n"))
    #expect(configuration.problems == [])
    let table = try #require(configuration.file?.targets.first)
    for row in TargetSettingTable.rows {
      #expect(table[row.key]?.raw.text == row.standardText ?? row.example, "\(row.name)")
    }
    let target = try #require(try configuration.databases().first?.targets(nil).first)
    #expect(target.address == "s3://shop-backups/app" && target.name == "s3")
  }

  @Test("The documentation's table of the settings of a channel equals the table of settings")
  func channels() throws {
    let (start, end) = ("<!-- settings of a channel -->\n", "<!-- end of settings of a channel -->\n")
    try compare("contrib/docs/reference/settings.md") { text in
      let first = try #require(text.firstRange(of: start))
      let last = try #require(text.firstRange(of: end))
      return text[..<first.upperBound] + Self.channelTable + text[last.lowerBound...]
    }
  }

  /// A setting that is commented out has no space behind the `#`.
  private func uncommented(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false)
      .map { $0.hasPrefix("#") && !$0.hasPrefix("# ") && $0 != "#" ? $0.dropFirst() : $0 }.joined(separator: "\n")
  }

  @Test("holdfast.example.toml is sound unchanged, and gives the defaults if every line is uncommented")
  func parses() throws {
    let bed = try ConfigurationBed()
    let asItIs = try bed.configuration(toml: SettingsTemplate().text)
    #expect(asItIs.problems == [] && asItIs.file?.top.values.isEmpty == true)
    let full = try bed.configuration(toml: uncommented(SettingsTemplate().text))
    #expect(full.problems == [])
    try check(full, try #require(full.file?.top))
  }

  @Test("holdfast.env.example is sound unchanged, and gives the defaults if every line is uncommented")
  func parsesEnvironment() throws {
    let bed = try ConfigurationBed()
    let asItIs = try bed.configuration(env: Self.environmentExample)
    #expect(asItIs.problems == [] && asItIs.envFile?.layer.values.isEmpty == true)
    let full = try bed.configuration(env: uncommented(Self.environmentExample))
    #expect(full.problems == [])
    try check(full, try #require(full.envFile?.layer))
  }

  private func check(_ configuration: Configuration, _ layer: Layer) throws {
    for key in SettingKey.inFiles {
      let given = try #require(layer[key], "\(key)")
      let value = try key.definition.kind.read(given.raw)
      guard let text = key.definition.standardText else { continue }
      #expect(try value == key.definition.kind.read(.untyped(text)), "\(key)")
    }
  }

  private static var environmentExample: String {
    let head = """
      # Settings of Holdfast as environment variables: for a shell, for .env in the working directory, or for
      # config/holdfast.service (as /etc/holdfast/holdfast.env). Lines that are commented out show the default, or an example
      # if there is no default. Flags take precedence over these, and these over holdfast.toml.


      """
    return head
      + SettingKey.allCases.map { key in
        let value = key.definition.standardText ?? key.definition.example ?? ""
        let quoted = value.contains { " *;'".contains($0) } ? "\"\(value)\"" : value
        return SettingsTemplate.comments(key) + "#\(key.variable)=\(quoted)\n"
      }.joined(separator: "\n")
  }

  private static var targetTable: String {
    "| setting | default | meaning | why |\n|---|---|---|---|\n"
      + TargetSettingTable.groups.map { group in
        let row = group[0]
        let standard = row.standardText.map { "`\($0)`" } ?? row.standardWords
        let names = group.map { "`\($0.name)`" }.joined(separator: ", ")
        return "| \(names) | \(standard) | \(row.summary) | \(row.reason) |\n"
      }.joined()
  }

  private static var metricsTable: String {
    "| metric | type | labels | meaning |\n|---|---|---|---|\n"
      + Metric.allCases.map { metric in
        let labels = metric.labels.map { "`\($0)`" }.joined(separator: ", ")
        return "| `\(metric.rawValue)` | \(metric.kind.rawValue) | \(labels) | \(metric.meaning) |\n"
      }.joined()
  }

  private static var channelTable: String {
    "| setting | types | default | meaning | why |\n|---|---|---|---|---|\n"
      + ChannelSettingTable.rows.map { row in
        let types = ChannelType.allCases.filter { $0.known.contains(row.key) }.map(\.rawValue).joined(separator: ", ")
        let isCommon = types.isEmpty
        return
          "| `\(row.name)` | \(isCommon ? "all" : types) | \(row.standardWords) | \(row.summary) | \(row.reason) |\n"
      }.joined()
  }

  private static var documentationTable: String {
    "| setting | flag | variable | default | why |\n|---|---|---|---|---|\n"
      + SettingKey.allCases.map { key in
        let definition = key.definition
        let flag =
          key.flagText.map { definition.kind == .boolean ? "`\($0)`, `--no-\(key.flag ?? "")`" : "`\($0)`" } ?? ""
        let standard = definition.standardText.map { "`\($0)`" } ?? definition.standardWords
        return "| `\(key.name)` | \(flag) | `\(key.variable)` | \(standard) | \(definition.reason) |\n"
      }.joined()
  }
}
