import BackupPolicy
import TOML

/// One `[[notify]]` table: its values and their places.
struct ChannelTable: Sendable {
  let values: [ChannelKey: Given]
  /// The place at which the table begins.
  let origin: Origin

  subscript(_ key: ChannelKey) -> Given? { values[key] }

  func origin(_ key: ChannelKey) -> Origin { values[key]?.origin ?? origin }

  /// Nil if it is not set.
  ///
  /// - Throws: `usage` with the place of a value that does not fit.
  func text(_ key: ChannelKey) throws -> String? {
    switch try values[key]?.value(of: key.definition.kind) {
    case .text(let text): text
    case nil: nil
    default: throw Self.mismatch(key)
    }
  }

  /// Empty if it is not set.
  func texts(_ key: ChannelKey) throws -> [String] {
    switch try values[key]?.value(of: key.definition.kind) {
    case .texts(let texts): texts
    case nil: []
    default: throw Self.mismatch(key)
    }
  }

  /// A bug: the row in the table of settings has another kind than its reader expects.
  private static func mismatch(_ key: ChannelKey) -> HoldfastError {
    HoldfastError(
      .failed, "internal error: the setting \(key.name) of a channel does not have the kind that its reader expects")
  }
}

/// Reads the `[[notify]]` tables of `holdfast.toml`.
struct ChannelTables {
  private(set) var tables: [ChannelTable] = []
  private(set) var problems: [ConfigurationProblem] = []
  private let path: String

  /// - Parameters:
  ///   - pair: `notify` and its value.
  ///   - path: the file's, as messages name it.
  init(_ pair: TOMLDocument.Pair, path: String) {
    self.path = path
    guard case .array(let items) = pair.value.content, !items.isEmpty else {
      add(pair.key, "notify", "is not an array of tables", hint: "write [[notify]], with two brackets on each side")
      return
    }
    for item in items {
      guard case .table(let pairs) = item.content else {
        add(
          item.position, "notify", "has an item that is not a table",
          hint: "write [[notify]] and type = \"email\" below it")
        continue
      }
      read(pairs, at: item.position)
    }
  }

  private mutating func read(_ pairs: [TOMLDocument.Pair], at position: FilePosition) {
    var values: [ChannelKey: Given] = [:]
    let count = problems.count
    for pair in pairs {
      guard let key = ChannelKey.named(pair.name) else {
        addUnknown(pair)
        continue
      }
      values[key] = Given(raw: RawValue(pair.value), origin: origin(pair.value.position, pair.name))
    }
    if values[.type] != nil {
      tables.append(ChannelTable(values: values, origin: origin(position, "[[notify]]")))
    } else if problems.count == count {
      add(position, "[[notify]]", "has no type", hint: "write type = \"email\" below it, or another type")
    }
  }

  private mutating func addUnknown(_ pair: TOMLDocument.Pair) {
    let name = pair.name.lowercased().replacing("-", with: "_")
    if Self.secrets.contains(name) || KeyAdvice.isSecret(name) {
      return add(
        pair.key, pair.name.shortened, "is a secret, which does not belong in this file",
        hint: "write it into a file that password_file, secret_file or token_file names")
    }
    let names = ChannelKey.allCases.map(\.name)
    let near = NearestName.of(pair.name, in: names).map { "did you mean \($0)?" }
    add(
      pair.key, pair.name.shortened, "is not a setting of [[notify]]",
      hint: Self.elsewhere[name] ?? near ?? "config/holdfast.example.toml lists every setting")
  }

  private static let secrets: Set = ["secret", "token", "pass", "smtp_password", "api_key", "access_token"]

  /// The names of settings in other programs.
  private static let elsewhere = [
    "host": "write it into the url: smtp://host:587", "port": "write it into the url: smtp://host:587",
    "smtp": "write url = \"smtp://host:587\"", "server": "write url here", "kind": "write type here",
    "username": "write user here", "recipient": "write to here", "recipients": "write to here",
    "sender": "write from here", "exec": "write command here", "run": "write command here",
    "webhook_url": "write url here, or url_file for slack and discord",
  ]

  private func origin(_ position: FilePosition, _ key: String) -> Origin {
    .file(path: path, position: position, key: key)
  }

  private mutating func add(_ position: FilePosition, _ key: String, _ problem: String, hint: String) {
    problems.append(ConfigurationProblem(at: origin(position, key), problem, hint: hint))
  }
}
