import BackupEngine
import BackupPolicy

/// A `holdfast.toml` with every setting commented out: the output of `init`, and
/// `config/holdfast.example.toml`.
struct SettingsTemplate {
  /// Settings that are set, and their values.
  var active: [SettingKey: String] = [:]

  var text: String {
    ([Self.head] + SettingKey.inFiles.map(entry)).joined(separator: "\n") + "\n" + Self.databases + Self.channels
      + Self.targets
  }

  private func entry(_ key: SettingKey) -> String {
    let definition = key.definition
    let value = active[key] ?? definition.standardText ?? definition.example ?? ""
    let line = "\(key.name) = \(definition.kind.literal(value))"
    return Self.comments(key) + (active[key] == nil ? "#" : "") + line + "\n"
  }

  /// The meaning of a setting, its default, and the reason.
  static func comments(_ key: SettingKey) -> String {
    key.definition.comments.map { "\($0)\n" }.joined()
  }

  private static let head = """
    # Settings of Holdfast. Lines that are commented out show the default, or an example if
    # there is no default.
    #
    # Flags, environment variables and .env take precedence over this file. holdfast config show lists the values and
    # their origins, and holdfast config check lists the mistakes. Paths are relative to this file's folder; ~/ is the
    # home folder. Passwords do not belong here: name a key_file or a password_file.

    """

  private static let databases = """

    # Queries that drills run on the restored database: one table for each query, with the expected output of sqlite3.
    # The name is for messages; database selects one of several databases.
    #
    #   [[drill.assert]]
    #   name = "there are customers"
    #   sql = "SELECT count(*) > 0 FROM customers"
    #   expect = "1"

    # Several databases: one table for each, at the end of the file. A table may override each setting of one database;
    # path may be a pattern. The backups of each go to <backup_dir>/<name>, or to backups/<name> beside the database.
    #
    #   [[databases]]
    #   path = "/srv/shop/shop.db"
    #   name = "shop"
    #   retention_days = 90
    #
    #   [[databases]]
    #   path = "/srv/*/app.db"

    """

  /// Every setting of a channel, in a table that is commented out.
  private static var channels: String {
    let rows = ChannelSettingTable.rows.flatMap { row in
      ["#"] + row.comments.map { "#   \($0)" } + ["#   \(row.name) = \(row.kind.literal(row.example ?? ""))"]
    }
    return ([channelsHead] + rows).joined(separator: "\n") + "\n"
  }

  private static let channelsHead = """

    # Where the agent sends messages about alarms, one table for each channel. Each type has its own settings, and
    # holdfast config check reports those that do not fit. holdfast notify test sends one of each message.
    #
    #   [[notify]]
    """

  /// Every setting of a target, in a table that is commented out.
  private static var targets: String {
    let rows = TargetSettingTable.groups.flatMap { group in
      ["#"] + group[0].comments.map { "#   \($0)" }
        + group.map { "#   \($0.name) = \($0.kind.literal($0.standardText ?? $0.example ?? ""))" }
    }
    return ([targetsHead] + rows).joined(separator: "\n") + "\n"
  }

  private static let targetsHead = """

    # Places to which the agent copies the backups of every database, one table for each. A [[databases.targets]] table
    # below a [[databases]] table is for that database alone. The setting target above is short for a table with a url.
    #
    #   [[targets]]
    """
}

extension ValueKind {
  /// A value as TOML writes it.
  func literal(_ text: String) -> String {
    switch self {
    case .boolean, .count, .quota, .level: return text
    default:
      let escaped = text.unicodeScalars.map { scalar in
        switch scalar {
        case "\"": "\\\""
        case "\\": "\\\\"
        case _ where scalar.value < 0x20 || scalar.value == 0x7F:
          "\\u" + String(repeating: "0", count: scalar.value < 0x10 ? 3 : 2) + String(scalar.value, radix: 16)
        default: String(scalar)
        }
      }
      return "\"\(escaped.joined())\""
    }
  }
}

/// Writes a first `holdfast.toml`. It contains no secrets, and the service may run as another user,
/// so every user may read it (0644).
struct NewSettingsFile {
  let path: String
  let files: any FileOperations

  /// Creates the file, and its folder (0700), flushed to the disk. Returns false if the file
  /// already exists; it is kept.
  func createUnlessPresent(_ template: SettingsTemplate) throws -> Bool {
    guard try files.status(path) == nil else { return false }
    try files.makeFolders(path.parentPath)
    let temporary = "\(path).tmp-new"
    try files.unlink(temporary)
    do {
      let file = try files.open(temporary, .createNew)
      defer { files.close(file) }
      try Array(template.text.utf8).withUnsafeBytes { try files.write(file, $0, at: 0) }
      try files.sync(file)
      if var attributes = try files.status(temporary)?.attributes {
        attributes.permissions = 0o644
        try files.setAttributes(file, attributes)
      }
      // Refuses to replace: another process may have created one since.
      try files.renameNew(temporary, to: path)
    } catch {
      try? files.unlink(temporary)
      throw error
    }
    try files.syncFolder(path.parentPath)
    return true
  }
}
