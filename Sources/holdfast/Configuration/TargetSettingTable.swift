import BackupPolicy

/// The settings of one target, by their names in a `[[targets]]` table.
enum TargetKey: TableKey {
  case url
  case name
  case interval
  case access
  /// A rule of retention, under the name that it has for a database.
  case rule(KeepRule.Kind)
  case thin
  case maxLag
  case check
  case storageClass
  case credentialsFile
  case caFile
  case proxy
  case uploadLimit

  var name: String {
    switch self {
    case .rule(let kind): kind.name
    case .maxLag: "max_lag"
    case .storageClass: "storage_class"
    case .credentialsFile: "credentials_file"
    case .caFile: "ca_file"
    case .uploadLimit: "upload_limit"
    case .url, .name, .interval, .access, .thin, .check, .proxy: "\(self)"
    }
  }

  var isRule: Bool {
    if case .rule = self { true } else { false }
  }

  var definition: TargetSettingDefinition { TargetSettingTable.row(self) }

  static func named(_ name: String) -> TargetKey? { TargetSettingTable.byName[name] }
}

typealias TargetSettingDefinition = TableSettingDefinition<TargetKey>

/// The table of a target's settings. Files, `config show`, the example file and the documentation
/// follow from the rows, as those of ``SettingTable`` do.
enum TargetSettingTable {
  static let rows: [TargetSettingDefinition] = beforeRules + rules + afterRules

  static let byName = Dictionary(uniqueKeysWithValues: rows.map { ($0.key.name, $0.key) })
  private static let byKey = Dictionary(uniqueKeysWithValues: rows.map { ($0.key, $0) })

  static func row(_ key: TargetKey) -> TargetSettingDefinition {
    guard let row = byKey[key] else { preconditionFailure("the setting \(key.name) of a target has no row") }
    return row
  }

  private static let beforeRules: [TargetSettingDefinition] = [
    .init(
      .url, .storeAddress, .words("none, it is required"),
      "The place: s3://bucket/prefix, with ?endpoint=https://host for a store that is not AWS, or the path of a folder; {name} is the name of the database",
      because: "only you know a place that outlives this machine", example: "s3://shop-backups/{name}"),
    .init(
      .name, .label, .words("the bucket, or the last part of the path"),
      "The name of the target in commands and messages",
      because: "a URL is long to type", example: "s3"),
    .init(
      .interval, .time(atLeast: 0), .value("10s"),
      "The shortest time between two uploads; the changes in between are merged for the upload",
      because:
        "stores charge for each request: a constant writer costs less than $2 a month on S3 with 10s, and $13 with 1s"),
    .init(
      .access, .choice(TargetAccess.allCases.map(\.rawValue)), .value("full"),
      "The requests that the key allows: full, append (nothing is removed) or write-only (objects are put, and not even listed)",
      because: "rules can remove old copies; with the other two, an intruder on this machine cannot remove them"),
  ]

  /// The rules of a database, each with its own form and example.
  private static let rules = SettingTable.rows.compactMap { row -> TargetSettingDefinition? in
    guard case .rule(let kind) = row.use else { return nil }
    return TargetSettingDefinition(
      .rule(kind), row.kind, .words("the rules of the database, if no rule is set here"),
      "How long copies stay, as for the database; a rule here replaces all rules of the database",
      because: "a copy then stays as long as the backup", example: row.example)
  }

  /// Rows with the same words together, for people: the rules.
  static let groups: [[TargetSettingDefinition]] = rows.reduce(into: []) { groups, row in
    if groups.last?.last?.comments == row.comments {
      groups[groups.count - 1].append(row)
    } else {
      groups.append([row])
    }
  }

  private static let afterRules: [TargetSettingDefinition] = [
    .init(
      .thin, .boolean, .words("the database's own `thin`"),
      "Keep fewer incrementals as they grow old, as `thin` of the database does",
      because: "the target then holds the same backups as the repository", example: "true"),
    .init(
      .maxLag, .time(atLeast: 0), .value("15min"), "How long a backup may be missing before there is an alarm",
      because: "a short failure of a network needs nobody's attention"),
    .init(
      .check, .time(atLeast: 0), .value("24h"),
      "How often the objects in the target are listed and compared with the copies that should be there; 0: never",
      because: "removals by others are detected within a day, for two or three requests"),
    .init(
      .storageClass, .storageClass, .words("that of the bucket"),
      "The storage class of fulls of 128 KiB and more, such as STANDARD_IA; folders have no classes",
      because: "cheaper classes charge for 30 days and 128 KiB at least", example: "STANDARD_IA"),
    .init(
      .credentialsFile, .path, .words("the environment, then `~/.aws`, then the role of the machine"),
      "A file with the key of the account, written as `~/.aws/credentials`",
      because: "the order of AWS's own tools", example: "/etc/holdfast/s3"),
    .init(
      .caFile, .path, .words("the system's"),
      "A PEM file of the certificate authorities to trust instead of the system's",
      because: "public stores have certificates that each system trusts", example: "/etc/holdfast/ca.pem"),
    .init(
      .proxy, .proxy, .words("`https_proxy` and `no_proxy` of the environment"), "The URL of an HTTP proxy",
      because: "other programs use these variables", example: "http://proxy.internal:3128"),
    .init(
      .uploadLimit, .rate, .words("none"),
      "The largest number of bytes a second for uploads to a bucket, such as 2MiB; none: no limit",
      because: "incrementals are small; a limit is for the fulls on a slow line", example: "2MiB"),
  ]
}
