import BackupPolicy
import TOML
import TestSupport
import Testing

@testable import holdfast

@Suite("The table of settings", .ownThread)
struct SettingTableTests {
  @Test("Each key has exactly one row, in the order of the keys")
  func oneRowForEachKey() {
    #expect(SettingTable.rows.map(\.key) == SettingKey.allCases)
  }

  @Test("Each retention rule has exactly one setting, with its name and form")
  func oneSettingForEachRule() {
    let kinds = SettingTable.rows.compactMap { row -> KeepRule.Kind? in
      if case .rule(let kind) = row.use { kind } else { nil }
    }
    #expect(kinds == KeepRule.Kind.all)
    let rows = SettingTable.rows.filter(\.isRule)
    #expect(rows.map(\.key.name) == kinds.map(\.name) && rows.map(\.kind) == kinds.map { ValueKind($0.form) })
  }

  /// Commands add `--verify` themselves, and two rules are numbers that their group reads.
  private static let flagsOfGroups = SettingKey.allCases.filter {
    $0.flag != nil && ![.verifyAfterCreate, .retentionDays, .maxBackups].contains($0)
  }

  @Test("Each flag gives its value to its key, and to no other", arguments: flagsOfGroups)
  func flagsReachKeys(key: SettingKey) throws {
    let (text, _) = key.definition.kind.samples
    let isSwitch = key.definition.kind == .boolean
    let arguments = [isSwitch ? "--no-\(key.flag ?? "")" : "\(key.flagText ?? "")=\(text)"]
    let layers = [
      try? AgentOptions.parse(arguments).flags, try? CreationOptions.parse(arguments).flags,
      try? RetentionOptions.parse(arguments).settingFlags, try? ServiceOptions.parse(arguments).flags,
    ].compactMap { $0 }
    try #require(layers.count == 1)
    #expect(layers[0].values.mapValues(\.raw) == [key: .untyped(isSwitch ? "false" : text)])
  }

  @Test("No two settings share a name, a variable or a flag")
  func unique() {
    let keys = SettingKey.allCases
    #expect(Set(keys.map(\.variable)).count == keys.count)
    #expect(Set(keys.compactMap(\.flag)).count == keys.count { $0.flag != nil })
  }

  @Test("Every row has its meaning and reason, and its default and example are valid", arguments: SettingKey.allCases)
  func rows(key: SettingKey) throws {
    let definition = key.definition
    #expect(!definition.summary.isEmpty && !definition.reason.isEmpty && !definition.summary.hasSuffix("."))
    if let text = definition.standardText {
      _ = try definition.kind.read(.untyped(text))
    } else {
      #expect(!definition.standardWords.isEmpty)
      // It needs a value to show in the example files.
      #expect(key.isSecret || definition.example != nil)
    }
    if let example = definition.example { _ = try definition.kind.read(.untyped(example)) }
  }

  @Test("If nothing is set, every setting can be read in the type of its use")
  func readers() throws {
    let bed = try ConfigurationBed()
    let settings = try bed.configuration().settings()
    let agent = try AgentSetup(retention: RetentionOptions.parse([]), output: OutputOptions.parse([]))
      .agentSettings(settings)
    #expect(agent.mode == .change && agent.debounce == 500 && agent.maxDelay == 5000 && agent.minInterval == 1000)
    #expect(agent.pollInterval == 30000 && agent.schedules == [] && agent.quietHours == nil && agent.catchUp)
    #expect(!agent.skipUnchanged && !agent.verifyAfterCreate && agent.retention == nil)
    #expect(agent.compaction == CompactionPolicy())
    #expect(agent.archive.encrypt && agent.archive.compress && agent.archive.level.value == 2)
    #expect(agent.archive.cipher.rawValue == "aes-256-gcm")
    #expect(try settings.milliseconds(.stopGrace) == 10000 && settings.boolean(.enabled))
    #expect(try settings.path(.keyFile) == nil && settings.path(.backupDir) == nil)
  }

  @Test("If only min_free_space is set, it is a rule; 0 turns holds off, and none turns off the minimum")
  func guards() throws {
    let bed = try ConfigurationBed()
    func policy(_ toml: String, _ flags: String...) throws -> RetentionPolicy? {
      let options = try RetentionOptions.parse(flags)
      return try options.policy(bed.configuration(toml: toml).settings())
    }
    #expect(try policy("min_free_space = \"5%\"") == RetentionPolicy(minFreeSpace: .percent(5)))
    #expect(try policy("min_free_space = \"none\"") == nil)
    let forever = try policy("keep_last = 3\nanomaly_hold = \"0\"")
    #expect(forever?.rules == RetentionPolicy(keepLast: 3).rules && forever?.anomalyHold == .zero)
    let flagged = try policy("keep_last = 3\nanomaly_hold = \"90d\"", "--max-backups", "5")
    #expect(flagged?.rules == RetentionPolicy(maxBackups: 5).rules && flagged?.anomalyHold == .seconds(90 * 86400))
    #expect(try policy("keep_last = 3")?.anomalyHold == .seconds(30 * 86400))
  }

  @Test("A schedule makes the mode hybrid, and the mode schedule needs one")
  func mode() throws {
    let bed = try ConfigurationBed()
    #expect(try bed.configuration(toml: "schedule = \"@daily\"").settings().mode() == .hybrid)
    #expect(try bed.configuration(toml: "schedule = \"@daily\"\nmode = \"change\"").settings().mode() == .change)
    #expect(throws: HoldfastError.self) { try bed.configuration(toml: "mode = \"schedule\"").settings().mode() }
  }

  /// Flags > environment > `.env` > a database's table > the top of the file > default.
  @Test("The first layer that sets a value wins", arguments: SettingKey.inFiles)
  func precedence(key: SettingKey) throws {
    let bed = try ConfigurationBed()
    let (one, two) = key.definition.kind.samples
    let database = key == .database ? "" : "database = \"/tmp/x.db\"\n"
    let top = "\(key.name) = \(key.definition.kind.literal(one))\n"
    func origin(flag: Bool = false, variable: Bool = false, env: Bool = false, toml: Bool = false) throws -> Given? {
      try bed.configuration(
        flags: flag ? [key: two] : [:], environment: variable ? [key.variable: two] : [:],
        env: env ? "\(key.variable)='\(two)'\n" : nil, toml: (toml ? top : "") + database
      ).settings().given(key)
    }
    #expect(try origin(flag: true, variable: true, env: true, toml: true)?.origin == .flag(key.flagText ?? key.name))
    #expect(try origin(variable: true, env: true, toml: true)?.origin == .variable(key.variable))
    let line = FilePosition(line: 1, column: key.variable.count + 2)
    #expect(
      try origin(env: true, toml: true)?.origin == .envFile(path: bed.env, position: line, name: key.variable))
    let place = FilePosition(line: 1, column: key.name.count + 4)
    let given = try #require(try origin(toml: true))
    #expect(given.origin == .file(path: bed.toml, position: place, key: key.name) && given.raw.text == one)
    #expect(try origin() == nil)
  }

  @Test("A database's table wins over the top", arguments: SettingKey.inFiles.filter(\.isPerDatabase))
  func tables(key: SettingKey) throws {
    let bed = try ConfigurationBed()
    let kind = key.definition.kind
    let (one, two) = kind.samples
    let configuration = try bed.configuration(
      toml: """
        \(key.name) = \(kind.literal(one))
        [[databases]]
        path = "a.db"
        \(key.name) = \(kind.literal(two))
        [[databases]]
        path = "b.db"
        """)
    #expect(configuration.problems == [])
    let databases = try configuration.databases()
    #expect(databases.map { $0.settings.given(key)?.raw.text } == [two, one])
    let text = try bed.folder.text("holdfast.toml")
    let flagged = try bed.configuration(flags: [key: one], toml: text)
    #expect(flagged.settings(flagged.file?.databases[0]).given(key)?.raw.text == one)
  }

  @Test("The agent has every flag of the table, with the table's help text")
  func flags() throws {
    let bed = try CommandBed(rows: 1)
    let help = try bed.succeed("agent", "--help").split(whereSeparator: \.isWhitespace).joined(separator: " ")
    for key in SettingKey.allCases {
      guard let flag = key.flagText else { continue }
      #expect(help.contains(flag) && help.contains(key.variable), "\(key)")
    }
  }
}

extension TemporaryFolder {
  /// The content of a file.
  func text(_ name: String) throws -> String? {
    try read(name).map { String(decoding: $0, as: UTF8.self) }
  }
}
