import BackupPolicy
import TOML

/// One `[[targets]]` or `[[databases.targets]]` table: its values and their places. The setting
/// `target` counts as a table with nothing but a URL.
struct TargetTable: Sendable {
  private(set) var values: [TargetKey: Given] = [:]
  /// The place at which the table begins.
  let origin: Origin

  init(_ values: [TargetKey: Given], origin: Origin) {
    (self.values, self.origin) = (values, origin)
  }

  subscript(_ key: TargetKey) -> Given? { values[key] }

  func origin(_ key: TargetKey) -> Origin { values[key]?.origin ?? origin }

  /// The value; nil if it is not set and the table of settings has no default.
  ///
  /// - Throws: `usage` with the place of a value that does not fit.
  func value(_ key: TargetKey) throws -> SettingValue? {
    guard let given = values[key] else {
      return try key.definition.standardText.map { try key.definition.kind.read(.untyped($0)) }
    }
    let value = try given.value(of: key.definition.kind)
    return value == .none ? nil : value
  }

  func text(_ key: TargetKey) throws -> String? {
    switch try value(key) {
    case .text(let text): text
    case nil: nil
    default: throw Self.mismatch(key)
    }
  }

  func milliseconds(_ key: TargetKey) throws -> Int64 {
    guard case .milliseconds(let value) = try value(key) else { throw Self.mismatch(key) }
    return value
  }

  /// Nil if it is not set.
  func boolean(_ key: TargetKey) throws -> Bool? {
    switch try value(key) {
    case .boolean(let value): value
    case nil: nil
    default: throw Self.mismatch(key)
    }
  }

  /// Bytes a second; nil if there is no limit.
  func rate(_ key: TargetKey) throws -> Int64? {
    switch try value(key) {
    case .rate(let value): value
    case nil: nil
    default: throw Self.mismatch(key)
    }
  }

  /// The rules in this table; nil if it has no rule.
  func rules() throws -> RetentionRules? {
    let keys = values.keys.filter(\.isRule)
    guard !keys.isEmpty else { return nil }
    var rules = RetentionRules()
    for case .rule(let kind) in keys {
      rules[kind] = try value(.rule(kind)).map { value in
        guard let amount = KeepRule.Amount(value) else { throw Self.mismatch(.rule(kind)) }
        return amount
      }
    }
    return rules
  }

  /// A bug: the row in the table of settings has another kind than its reader expects.
  private static func mismatch(_ key: TargetKey) -> HoldfastError {
    HoldfastError(
      .failed, "internal error: the setting \(key.name) of a target does not have the kind that its reader expects")
  }
}

/// Reads the `[[targets]]` or `[[databases.targets]]` tables of `holdfast.toml`.
struct TargetTables {
  private(set) var tables: [TargetTable] = []
  private(set) var problems: [ConfigurationProblem] = []
  private let path: String
  /// `[[targets]]`
  private let header: String

  /// - Parameters:
  ///   - pair: `targets` and its value.
  ///   - path: the file's, as messages name it.
  ///   - header: of such a table.
  init(_ pair: TOMLDocument.Pair, path: String, header: String) {
    (self.path, self.header) = (path, header)
    guard case .array(let items) = pair.value.content, !items.isEmpty else {
      add(pair.key, "targets", "is not an array of tables", hint: "write \(header), with two brackets on each side")
      return
    }
    for item in items {
      guard case .table(let pairs) = item.content else {
        add(
          item.position, "targets", "has an item that is not a table", hint: "write \(header) and url = \"…\" below it")
        continue
      }
      read(pairs, at: item.position)
    }
  }

  private mutating func read(_ pairs: [TOMLDocument.Pair], at position: FilePosition) {
    var values: [TargetKey: Given] = [:]
    let count = problems.count
    for pair in pairs {
      guard let key = TargetKey.named(pair.name) else {
        addUnknown(pair)
        continue
      }
      values[key] = Given(raw: RawValue(pair.value), origin: origin(pair.value.position, pair.name))
    }
    if values[.url] != nil {
      tables.append(TargetTable(values, origin: origin(position, header)))
    } else if problems.count == count {
      add(position, header, "has no url", hint: "write url = \"s3://bucket/prefix\" below it, or the path of a folder")
    }
  }

  private mutating func addUnknown(_ pair: TOMLDocument.Pair) {
    let name = pair.name.lowercased().replacing("-", with: "_")
    if Self.secrets.contains(name) || KeyAdvice.isSecret(name) {
      return add(
        pair.key, pair.name.shortened, "is a secret, which does not belong in this file",
        hint: "write it into a file that credentials_file names, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    }
    let names = TargetSettingTable.rows.map(\.key.name)
    let known = TargetKey.named(name).map { "write \($0.name) here" } ?? Self.elsewhere[name]
    let near = NearestName.of(pair.name, in: names).map { "did you mean \($0)?" }
    add(
      pair.key, pair.name.shortened, "is not a setting of \(header)",
      hint: known ?? near ?? "config/holdfast.example.toml lists every setting")
  }

  /// The names of keys in the configurations of AWS, Litestream and rclone.
  private static let secrets: Set = [
    "access_key_id", "secret_access_key", "access_key", "secret_key", "aws_access_key_id", "aws_secret_access_key",
    "session_token", "aws_session_token", "key_id", "application_key",
  ]

  private static let elsewhere = [
    "path": "write url here", "folder": "write url here", "destination": "write url here", "type": "the url says it",
    "bucket": "write url = \"s3://bucket/prefix\"", "prefix": "write url = \"s3://bucket/prefix\"",
    "endpoint": "write it into the url: s3://bucket/prefix?endpoint=https://host",
    "region": "write it into the url: s3://bucket/prefix?region=eu-central-1",
    "force_path_style": "write it into the url: s3://bucket/prefix?path-style=true",
    "sync_interval": "write interval here", "limit_upload": "write upload_limit here",
    "bwlimit": "write upload_limit here", "retention": "write retention_days or another rule here",
    "profile": "set AWS_PROFILE in the environment, or name a credentials_file",
    "database": "write [[databases.targets]] below the [[databases]] table of that database",
  ]

  private func origin(_ position: FilePosition, _ key: String) -> Origin {
    .file(path: path, position: position, key: key)
  }

  private mutating func add(_ position: FilePosition, _ key: String, _ problem: String, hint: String) {
    problems.append(ConfigurationProblem(at: origin(position, key), problem, hint: hint))
  }
}
