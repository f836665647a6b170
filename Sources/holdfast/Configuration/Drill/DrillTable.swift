import BackupPolicy
import TOML

/// What `[drill]` and its `[[drill.assert]]` tables say.
struct DrillTable {
  /// The settings in it.
  private(set) var values: [SettingKey: Given] = [:]
  private(set) var assertions: [ConfiguredAssertion] = []
  private(set) var problems: [ConfigurationProblem] = []
  private let path: String
  private let isTop: Bool

  private static let settings = ["schedule": SettingKey.drillSchedule, "max_age": .drillMaxAge]

  /// - Parameters:
  ///   - pair: `drill`, and what it is.
  ///   - path: the file's, as messages name it.
  ///   - isTop: it stands at the top of the file, and not in a `[[databases]]` table.
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
      addUnknown(pair, "a setting of [drill]", names, others: "[drill] takes \(names.joined(separator: ", "))")
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
          pair, "a key of [[drill.assert]]", names, others: "[[drill.assert]] takes \(names.joined(separator: ", "))")
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
      return add(position, "[[drill.assert]]", "has no expect", hint: "write what sqlite3 prints: expect = \"1\"")
    }
    assertions.append(
      ConfiguredAssertion(
        assertion: DrillAssertion(name: texts["name"], sql: sql, expect: expect), database: database))
  }

  /// Text; a number counts as what SQLite prints for it.
  private mutating func text(_ pair: TOMLDocument.Pair) -> String? {
    switch RawValue(pair.value) {
    case .string(let text) where !text.isEmpty || pair.name == "expect": return text
    case .string: add(pair.key, pair.name, "is empty", hint: "write it, or take the line out")
    case .integer(let number) where pair.name == "expect": return "\(number)"
    case .boolean(let value) where pair.name == "expect":
      add(
        pair.value.position, "expect", "is \(value), and SQLite has no such value",
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
