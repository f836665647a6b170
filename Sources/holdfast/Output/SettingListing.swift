import BackupEngine
import BackupPolicy
import Names
import TOML

/// Every setting with its value and origin.
struct SettingListing {
  private struct Row {
    var name: String
    var value: String?
    var origin: Origin
    /// The behaviour without a value.
    var note: String?
  }

  private struct Section {
    var name: String
    var rows: [Row]
  }

  private struct TargetSection {
    /// Nil if only one database is configured.
    var database: String?
    var name: String
    var rows: [Row]

    var title: String { (database.map { "\($0), " } ?? "") + "target \(name)" }
  }

  private let common: [Row]
  /// The differences from ``common`` for each of several databases.
  private let databases: [Section]
  /// The targets of each database.
  private let targets: [TargetSection]
  /// The channels of messages.
  private let channels: [Section]

  /// - Throws: `usage` if the list of databases has a mistake.
  init(_ configuration: Configuration) throws {
    let databases = try configuration.databases()
    let hasTables = !(configuration.file?.databases.isEmpty ?? true)
    let settings = databases.count == 1 ? databases[0].settings : configuration.settings()
    var common = SettingKey.allCases.map { Self.row($0, settings) }
    if databases.count == 1 { Self.resolve(&common, databases[0]) }
    self.common = common
    self.databases = !hasTables || databases.count == 1 ? [] : databases.map { Self.section($0, common) }
    targets = databases.flatMap { Self.targets($0, isOnly: databases.count == 1) }
    channels = Self.channels(configuration)
  }

  private static func row(_ key: SettingKey, _ settings: Settings) -> Row {
    if key.isSecret {
      // The password is not among the values of a layer, so it cannot be printed.
      let layer = settings.layers.first { $0.password != nil }
      return Row(name: key.name, value: layer == nil ? nil : "(set)", origin: layer?.passwordOrigin ?? .standard)
    }
    let given = settings.given(key)
    if key == .database, let given, let scheme = DatabaseAddress.foreignScheme(given.raw.text.unquoted) {
      // It may contain a password.
      return Row(name: key.name, value: nil, origin: given.origin, note: "a \(scheme) URL of another program")
    }
    if let given, key.definition.kind == .storeAddress, (try? key.definition.kind.read(given.raw)) == nil {
      return Row(name: key.name, value: nil, origin: given.origin, note: "not an address that can be used")
    }
    if key == .heartbeatURL, given != nil {
      // Whoever knows it can send signs of life.
      return Row(name: key.name, value: "(set)", origin: settings.origin(key))
    }
    let words = key.definition.standardWords.replacing("`", with: "")
    guard given == nil else { return Row(name: key.name, value: given?.raw.text, origin: given?.origin ?? .standard) }
    return Row(
      name: key.name, value: key.definition.standardText ?? valueInForce(key, settings), origin: .standard,
      note: words.isEmpty ? nil : words)
  }

  /// The value that is used if the setting is not set, if there is one.
  private static func valueInForce(_ key: SettingKey, _ settings: Settings) -> String? {
    switch key {
    case .mode: return try? settings.mode().rawValue
    case .timezone: return try? settings.zone().name
    case .keyFile:
      let hasPassword = settings.layers.contains { $0.password != nil || $0[.passwordFile] != nil }
      guard !hasPassword, let path = settings.folders.keyFile, (try? SystemFileOperations().status(path)) != nil
      else { return nil }
      return path
    default: return nil
    }
  }

  /// Fills in the resulting paths of database and folder.
  private static func resolve(_ rows: inout [Row], _ database: ConfiguredDatabase) {
    for index in rows.indices {
      switch rows[index].name {
      case SettingKey.database.name:
        rows[index] = Row(name: rows[index].name, value: database.path, origin: database.origin)
      case SettingKey.backupDir.name: rows[index].value = database.backupDir
      default: break
      }
    }
  }

  private static func section(_ database: ConfiguredDatabase, _ common: [Row]) -> Section {
    let rows = zip(SettingKey.allCases, common).map { key, row in (key, Self.row(key, database.settings), row) }
      .filter { $0.0.isPerDatabase && $0.0 != .backupDir && ($0.1.value != $0.2.value || $0.1.origin != $0.2.origin) }
      .map(\.1)
    let folder = database.settings.origin(.backupDir)
    return Section(
      name: database.name,
      rows: [
        Row(name: "path", value: database.path, origin: database.origin),
        Row(name: SettingKey.backupDir.name, value: database.backupDir, origin: folder),
      ] + rows)
  }

  /// The name and the address of each target, and its settings: all with a value for the only
  /// database, and those that are set for one of several. Targets with mistakes are left out.
  private static func targets(_ database: ConfiguredDatabase, isOnly: Bool) -> [TargetSection] {
    let list = TargetList(database.settings, name: database.name, backupDir: database.backupDir)
    return list.targets.map { configured in
      let (target, table) = (configured.target, configured.table)
      var rows = [
        Row(name: TargetKey.url.name, value: target.address, origin: table.origin(.url)),
        Row(name: TargetKey.name.name, value: target.name, origin: table[.name]?.origin ?? .standard),
      ]
      for row in TargetSettingTable.rows.dropFirst(rows.count) {
        if let given = table[row.key] {
          rows.append(Row(name: row.name, value: given.raw.text, origin: given.origin))
        } else if isOnly, let text = row.standardText {
          rows.append(Row(name: row.name, value: text, origin: .standard))
        }
      }
      return TargetSection(database: isOnly ? nil : database.name, name: target.name, rows: rows)
    }
  }

  /// The settings of each channel that are set. Channels with mistakes are left out.
  private static func channels(_ configuration: Configuration) -> [Section] {
    let zone = (try? configuration.settings().zone()) ?? .utc
    let list = ChannelList(configuration.file?.channels ?? [], zone: zone, folders: configuration.folders)
    return list.channels.map { configured in
      let rows = ChannelKey.allCases.compactMap { key -> Row? in
        guard key != .name else {
          let origin = configured.table[.name]?.origin ?? .standard
          return Row(name: key.name, value: configured.channel.name, origin: origin)
        }
        guard let given = configured.table[key] else { return nil }
        // The path of a webhook may be a secret.
        let text = key == .url ? configured.channel.place : given.raw.text
        return Row(name: key.name, value: text, origin: given.origin)
      }
      return Section(name: configured.channel.name, rows: rows)
    }
  }

  var lines: [String] {
    let sections =
      databases.map { ($0.name, $0.rows) }
      + targets.map { ($0.title, $0.rows) } + channels.map { ("channel \($0.name)", $0.rows) }
    return sections.reduce(Self.lines(common)) { lines, section in
      lines + ["", "[\(section.0.printable)]"] + Self.lines(section.1)
    }
  }

  private static func lines(_ rows: [Row]) -> [String] {
    rows.map { row in
      let value = (row.value ?? "-").printable
      let note = row.note.map { ": \($0)" } ?? ""
      return pad(row.name, 21) + pad(value, 29) + row.origin.words.printable + note
    }
  }

  private static func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(2, width - text.count))
  }

  var json: JSONValue {
    .object([
      "settings": .array(common.map(Self.json)),
      "databases": .array(
        databases.map { .object(["name": .string($0.name), "settings": .array($0.rows.map(Self.json))]) }),
      "targets": .array(
        targets.map {
          .object([
            "name": .string($0.name), "database": .optional($0.database), "settings": .array($0.rows.map(Self.json)),
          ])
        }),
      "channels": .array(
        channels.map { .object(["name": .string($0.name), "settings": .array($0.rows.map(Self.json))]) }),
    ])
  }

  private static func json(_ row: Row) -> JSONValue {
    .object(["key": .string(row.name), "value": .optional(row.value), "source": row.origin.json])
  }
}

extension Origin {
  fileprivate var json: JSONValue {
    switch self {
    case .flag(let flag): .object(["kind": .string("flag"), "name": .string(flag)])
    case .variable(let name): .object(["kind": .string("environment"), "name": .string(name)])
    case .envFile(let path, let position, let name): Self.json("env_file", path, position, name)
    case .file(let path, let position, let key): Self.json("file", path, position, key)
    case .standard: .object(["kind": .string("default")])
    }
  }

  private static func json(_ kind: String, _ path: String, _ position: FilePosition, _ name: String) -> JSONValue {
    .object([
      "kind": .string(kind), "name": .string(name), "path": .string(path), "line": .integer(Int64(position.line)),
      "column": .integer(Int64(position.column)),
    ])
  }
}
