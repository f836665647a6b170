import TOML

/// What `holdfast.toml` says: the settings at its top, and its `[[databases]]` tables.
struct SettingsFile: Sendable {
  /// One `[[databases]]` table.
  struct Database: Sendable {
    /// A path, URL or pattern.
    var path: Given?
    var name: Given?
    var layer: Layer
    /// Where the table begins.
    var origin: Origin
    /// What its drills ask besides.
    var assertions: [ConfiguredAssertion] = []
  }

  let path: String
  private(set) var top = Layer()
  private(set) var databases: [Database] = []
  /// `[[drill.assert]]` at the top.
  private(set) var assertions: [ConfiguredAssertion] = []
  private(set) var problems: [ConfigurationProblem] = []

  /// - Parameter path: as messages name it.
  init(_ bytes: [UInt8], path: String) {
    self.path = path
    let none = FilePosition(line: 0, column: 0)
    let document = TOMLDocument(bytes)
    problems = document.errors.map { error in
      ConfigurationProblem(at: origin(error.position, error.subject), error.problem, hint: error.hint)
    }
    for pair in document.pairs { readTop(pair) }
    problems.sort { ($0.position ?? none) < ($1.position ?? none) }
  }

  private func origin(_ position: FilePosition, _ key: String) -> Origin {
    .file(path: path, position: position, key: key)
  }

  private mutating func readTop(_ pair: TOMLDocument.Pair) {
    if pair.name == "databases" { return readDatabases(pair) }
    if pair.name == "drill" { return readDrill(pair, into: \.top, \.assertions) }
    if let key = SettingKey.named(pair.name), !holdsTables(pair.value) { return read(pair, as: key, into: \.top) }
    switch pair.value.content {
    case .table: addUnknownTable(pair, "[\(pair.name.shortened)]")
    case .array where holdsTables(pair.value): addUnknownTable(pair, "[[\(pair.name.shortened)]]")
    default: addUnknown(pair)
    }
  }

  private mutating func read(_ pair: TOMLDocument.Pair, as key: SettingKey, into layer: WritableKeyPath<Self, Layer>) {
    guard !key.isSecret else { return addSecret(pair, key) }
    self[keyPath: layer][key] = Given(raw: RawValue(pair.value), origin: origin(pair.value.position, key.name))
  }

  private mutating func readDrill(
    _ pair: TOMLDocument.Pair, into layer: WritableKeyPath<Self, Layer>,
    _ assertions: WritableKeyPath<Self, [ConfiguredAssertion]>
  ) {
    let table = DrillTable(pair, path: path, isTop: layer == \.top)
    problems += table.problems
    self[keyPath: layer].values.merge(table.values) { $1 }
    self[keyPath: assertions] += table.assertions
  }

  private mutating func readDatabases(_ pair: TOMLDocument.Pair) {
    guard case .array(let items) = pair.value.content, !items.isEmpty else {
      return add(pair, "is not an array of tables", hint: "write [[databases]], with two brackets on each side")
    }
    for item in items {
      guard case .table(let pairs) = item.content else {
        problems.append(
          ConfigurationProblem(
            at: origin(item.position, "databases"), "has an item that is not a table",
            hint: "write [[databases]] and path = \"…\" below it"))
        continue
      }
      databases.append(Database(layer: Layer(), origin: origin(item.position, "[[databases]]")))
      for pair in pairs { readDatabase(pair) }
    }
  }

  private mutating func readDatabase(_ pair: TOMLDocument.Pair) {
    let last = databases.count - 1
    let given = Given(raw: RawValue(pair.value), origin: origin(pair.value.position, pair.name))
    switch pair.name {
    case "path": databases[last].path = given
    case "name": databases[last].name = given
    case "database":
      databases[last].path = given
      add(pair, "belongs to the top of the file", hint: "in a [[databases]] table, write path = \"…\"")
    case "drill": readDrill(pair, into: \.databases[last].layer, \.databases[last].assertions)
    default:
      guard let key = SettingKey.named(pair.name) else { return addUnknown(pair) }
      guard key.isPerDatabase || key.isSecret else {
        return add(pair, "is not a setting of one database", hint: "move it above the first [[databases]]")
      }
      read(pair, as: key, into: \.databases[last].layer)
    }
  }

  private func holdsTables(_ value: TOMLDocument.Value) -> Bool {
    switch value.content {
    case .table: true
    case .array(let items): items.contains { holdsTables($0) }
    case .string, .boolean, .integer, .other: false
    }
  }
}

extension SettingsFile {
  private mutating func add(_ pair: TOMLDocument.Pair, _ problem: String, hint: String) {
    problems.append(ConfigurationProblem(at: origin(pair.key, pair.name.shortened), problem, hint: hint))
  }

  private mutating func addUnknown(_ pair: TOMLDocument.Pair) {
    if SettingKey.named(KeyAdvice.plain(pair.name))?.isSecret == true || KeyAdvice.isSecret(pair.name) {
      return addSecret(pair, .password)
    }
    add(pair, "is not a setting", hint: KeyAdvice.forFile(pair.name))
  }

  private mutating func addUnknownTable(_ pair: TOMLDocument.Pair, _ header: String) {
    let isNear = NearestName.of(pair.name, in: ["databases", "database", "db"]) != nil
    problems.append(
      ConfigurationProblem(
        at: origin(pair.key, header), "is not a table of settings",
        hint: isNear
          ? "write [[databases]], with two brackets on each side"
          : "settings stand at the top of the file, without a table; only [[databases]] has tables"))
  }

  private mutating func addSecret(_ pair: TOMLDocument.Pair, _ key: SettingKey) {
    add(
      pair, "is a secret, which does not belong into this file",
      hint: "use password_file or key_file, or set \(key.variable) in the environment")
  }
}
