import BackupPolicy
import TOML

/// The content of `holdfast.toml`: the settings at its top, and its `[[databases]]` tables.
struct SettingsFile: Sendable {
  /// One `[[databases]]` table.
  struct Database: Sendable {
    /// A path, URL or pattern.
    var path: Given?
    var name: Given?
    var layer: Layer
    /// The place at which the table begins.
    var origin: Origin
    /// Assertions of its drills, in addition to those at the top.
    var assertions: [ConfiguredAssertion] = []
    /// `[[databases.targets]]`, in addition to those at the top.
    var targets: [TargetTable] = []
  }

  let path: String
  private(set) var top = Layer()
  private(set) var databases: [Database] = []
  /// `[[drill.assert]]` at the top.
  private(set) var assertions: [ConfiguredAssertion] = []
  /// `[[targets]]` at the top.
  private(set) var targets: [TargetTable] = []
  /// `[[notify]]`
  private(set) var channels: [ChannelTable] = []
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
    if pair.name == "targets" { return readTargets(pair, into: \.targets, "[[targets]]") }
    if pair.name == "notify" { return readChannels(pair) }
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

  private mutating func readTargets(
    _ pair: TOMLDocument.Pair, into targets: WritableKeyPath<Self, [TargetTable]>, _ header: String
  ) {
    let read = TargetTables(pair, path: path, header: header)
    problems += read.problems
    self[keyPath: targets] += read.tables
  }

  private mutating func readChannels(_ pair: TOMLDocument.Pair) {
    let read = ChannelTables(pair, path: path)
    problems += read.problems
    channels += read.tables
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
    case "targets": readTargets(pair, into: \.databases[last].targets, "[[databases.targets]]")
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
    let known = ["databases", "database", "db", "targets", "target", "replicas", "notify", "notifications", "alerts"]
    let near = NearestName.of(pair.name, in: known)
    let meant = near.map {
      $0.hasPrefix("d") ? "[[databases]]" : $0.hasPrefix("n") || $0 == "alerts" ? "[[notify]]" : "[[targets]]"
    }
    problems.append(
      ConfigurationProblem(
        at: origin(pair.key, header), "is not a table of settings",
        hint: meant.map { "write \($0), with two brackets on each side" }
          ?? "write settings at the top of the file, without a table; "
          + "there are the tables [[databases]], [[targets]], [[notify]] and [drill]"))
  }

  private mutating func addSecret(_ pair: TOMLDocument.Pair, _ key: SettingKey) {
    add(
      pair, "is a secret, which does not belong in this file",
      hint: "use password_file or key_file, or set \(key.variable) in the environment")
  }
}

/// A `[[drill.assert]]` table.
struct ConfiguredAssertion: Hashable, Sendable {
  var assertion: DrillAssertion
  /// The name of its database; nil for all databases, or for the database whose table contains it.
  var database: Given?
}

/// The content of `[drill]` and its `[[drill.assert]]` tables.
struct DrillTable {
  /// The settings in it.
  private(set) var values: [SettingKey: Given] = [:]
  private(set) var assertions: [ConfiguredAssertion] = []
  private(set) var problems: [ConfigurationProblem] = []
  private let path: String
  private let isTop: Bool

  private static let settings = ["schedule": SettingKey.drillSchedule, "max_age": .drillMaxAge]

  /// - Parameters:
  ///   - pair: `drill` and its value.
  ///   - path: the file's, as messages name it.
  ///   - isTop: whether it is at the top of the file, and not in a `[[databases]]` table.
  init(_ pair: TOMLDocument.Pair, path: String, isTop: Bool) {
    (self.path, self.isTop) = (path, isTop)
    if case .table(let pairs) = pair.value.content {
      for pair in pairs { read(pair) }
    } else {
      add(pair.key, "drill", "is not a table", hint: "write [drill], and schedule = \"0 4 * * 0\" below it")
    }
  }

  private mutating func read(_ pair: TOMLDocument.Pair) {
    if let key = Self.settings[pair.name] {
      values[key] = Given(raw: RawValue(pair.value), origin: origin(pair.value.position, key.name))
    } else if pair.name == "assert" {
      readAssertions(pair)
    } else {
      let names = Self.settings.keys.sorted() + ["assert"]
      addUnknown(pair, "a setting of [drill]", names, others: "[drill] has \(names.joined(separator: ", "))")
    }
  }

  private mutating func readAssertions(_ pair: TOMLDocument.Pair) {
    guard case .array(let items) = pair.value.content else {
      return add(
        pair.key, "assert", "is not an array of tables", hint: "write [[drill.assert]], with two brackets on each side")
    }
    for item in items {
      guard case .table(let pairs) = item.content else {
        add(item.position, "assert", "has an item that is not a table", hint: "write [[drill.assert]] tables")
        continue
      }
      readAssertion(pairs, at: item.position)
    }
  }

  private mutating func readAssertion(_ pairs: [TOMLDocument.Pair], at position: FilePosition) {
    let names = ["sql", "expect", "name"] + (isTop ? ["database"] : [])
    var texts: [String: String] = [:]
    var database: Given?
    let count = problems.count
    for pair in pairs {
      guard names.contains(pair.name) else {
        addUnknown(
          pair, "a key of [[drill.assert]]", names, others: "[[drill.assert]] has \(names.joined(separator: ", "))")
        continue
      }
      texts[pair.name] = text(pair)
      if pair.name == "database" {
        database = Given(raw: RawValue(pair.value), origin: origin(pair.value.position, "database"))
      }
    }
    guard problems.count == count else { return }
    guard let sql = texts["sql"] else {
      return add(position, "[[drill.assert]]", "has no sql", hint: "write sql = \"SELECT count(*) > 0 FROM users\"")
    }
    guard let expect = texts["expect"] else {
      return add(position, "[[drill.assert]]", "has no expect", hint: "write the output of sqlite3: expect = \"1\"")
    }
    assertions.append(
      ConfiguredAssertion(
        assertion: DrillAssertion(name: texts["name"], sql: sql, expect: expect), database: database))
  }

  /// Text; a number counts as the text that SQLite prints for it.
  private mutating func text(_ pair: TOMLDocument.Pair) -> String? {
    switch RawValue(pair.value) {
    case .string(let text) where !text.isEmpty || pair.name == "expect": return text
    case .string: add(pair.key, pair.name, "is empty", hint: "write it, or remove the line")
    case .integer(let number) where pair.name == "expect": return "\(number)"
    case .boolean(let value) where pair.name == "expect":
      add(
        pair.value.position, "expect", "is \(value), but SQLite has no such value",
        hint: "write \(value ? 1 : 0), or \"\(value)\" for that text")
    case let other:
      add(pair.value.position, pair.name, "is \(other.quoted), which is not text", hint: "write it in quotes")
    }
    return nil
  }

  private func origin(_ position: FilePosition, _ key: String) -> Origin {
    .file(path: path, position: position, key: key)
  }

  private mutating func add(_ position: FilePosition, _ key: String, _ problem: String, hint: String) {
    problems.append(ConfigurationProblem(at: origin(position, key), problem, hint: hint))
  }

  private mutating func addUnknown(_ pair: TOMLDocument.Pair, _ what: String, _ names: [String], others: String) {
    let near = NearestName.of(pair.name, in: names).map { "did you mean \($0)?" }
    add(pair.key, pair.name.shortened, "is not \(what)", hint: near ?? others)
  }
}
