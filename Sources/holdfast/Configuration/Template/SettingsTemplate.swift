/// A `holdfast.toml` with every setting commented out: what `init` writes, and `config/holdfast.example.toml`.
struct SettingsTemplate {
  /// Settings that are set, and to what.
  var active: [SettingKey: String] = [:]

  var text: String {
    ([Self.head] + SettingKey.inFiles.map(entry)).joined(separator: "\n") + "\n" + Self.databases
  }

  private func entry(_ key: SettingKey) -> String {
    let definition = key.definition
    let value = active[key] ?? definition.standardText ?? definition.example ?? ""
    let line = "\(key.name) = \(definition.kind.literal(value))"
    return Self.comments(key) + (active[key] == nil ? "#" : "") + line + "\n"
  }

  /// What a setting is, its default, and the reason.
  static func comments(_ key: SettingKey) -> String {
    let definition = key.definition
    let standard = definition.standardText ?? definition.standardWords
    return "# \(definition.summary).\n# Default: \(standard).\n# Why: \(definition.reason).\n"
  }

  private static let head = """
    # Settings of Holdfast. Lines that are commented out show the default, or an example where there is none.
    #
    # Flags, environment variables and .env win over this file; holdfast config show lists what counts and why, and
    # holdfast config check what is wrong. Paths are relative to this file's folder; ~/ is the home folder.
    # Passwords do not belong here: name a key_file or a password_file.

    """

  private static let databases = """

    # What drills ask of the restored database: one table for each query, and what sqlite3 prints for it. The name is for
    # messages; database picks one of several.
    #
    #   [[drill.assert]]
    #   name = "there are customers"
    #   sql = "SELECT count(*) > 0 FROM customers"
    #   expect = "1"

    # Several databases: one table for each, at the end of the file. A table may set again whatever holds for one database;
    # path may be a pattern. Backups of each go to <backup_dir>/<name>, or to backups/<name> beside the database.
    #
    #   [[databases]]
    #   path = "/srv/shop/shop.db"
    #   name = "shop"
    #   retention_days = 90
    #
    #   [[databases]]
    #   path = "/srv/*/app.db"

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
