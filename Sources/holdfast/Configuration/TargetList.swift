import BackupEngine
import BackupPolicy
import Names
import ObjectStorage
import Replication

/// A target and the table that configures it.
struct ConfiguredTarget: Sendable {
  let target: Target
  let table: TargetTable
}

/// The targets of one database: reads their tables, replaces `{name}`, and finds collisions.
struct TargetList {
  private let settings: Settings
  /// Of the database.
  private let name: String
  /// Nil if no database is named.
  private let backupDir: String?
  /// The rules of the database; nil if nothing is removed. They are read if a target needs them, so
  /// that a mistake in them matters only then.
  private let rules: () throws -> RetentionPolicy?

  private(set) var targets: [ConfiguredTarget] = []
  private(set) var problems: [ConfigurationProblem] = []

  /// - Parameters:
  ///   - name: of the database.
  ///   - backupDir: of the database; nil if no database is named.
  ///   - rules: the rules in force for the database; nil if there are none.
  init(
    _ settings: Settings, name: String, backupDir: String?, rules: @escaping () throws -> RetentionPolicy? = { nil }
  ) {
    (self.settings, self.name, self.backupDir, self.rules) = (settings, name, backupDir, rules)
    for table in tables {
      do {
        if let target = try target(table) { targets.append(ConfiguredTarget(target: target, table: table)) }
      } catch {
        problems.append(ConfigurationProblem(error))
      }
    }
    findCollisions()
  }

  /// The tables in the order of the file, and then the setting `target`.
  private var tables: [TargetTable] {
    settings.targetTables
      + [settings.given(.target)].compactMap { $0.map { TargetTable([.url: $0], origin: $0.origin) } }
  }

  /// Nil if the setting `target` is `none`.
  private func target(_ table: TargetTable) throws -> Target? {
    guard let text = try table.text(.url) else {
      guard table[.url] == settings.given(.target) else {
        throw problem(table, .url, "is none, but a table needs a place", hint: "remove the table instead")
      }
      return nil
    }
    do {
      let address = try address(text, table)
      let name = try table.text(.name) ?? Self.name(of: StoreURL(address), written: text)
      var target = try Target(
        name: name, address: address, settings: TargetSettings(name: name, retention: retention(table)))
      try requireOutside(target.url, table)
      try read(table, into: &target)
      return target
    } catch let error as StoreError {
      throw problem(table, .url, ": \(error.message)", hint: "use s3://bucket/prefix or the path of a folder")
    }
  }

  private func read(_ table: TargetTable, into target: inout Target) throws {
    target.settings.interval = try table.milliseconds(.interval)
    target.settings.access = try table.text(.access).flatMap(TargetAccess.init) ?? .full
    target.settings.thins = try table.boolean(.thin) ?? settings.boolean(.thin)
    // Rounded up: only 0 means never.
    target.maxLag = (try table.milliseconds(.maxLag) + 999) / 1000
    target.check = (try table.milliseconds(.check) + 999) / 1000
    // A folder without the database's name must be there: it may be the place of a disk.
    let parts = try (table.text(.url) ?? "").split(separator: "/")
    target.connection.madeFolders =
      parts.count - (parts.firstIndex { $0.contains(ValueKind.namePlaceholder) } ?? parts.count)
    target.storageClass = try table.text(.storageClass)
    target.connection.credentialsFile = try path(table, .credentialsFile)
    target.connection.caFile = try path(table, .caFile)
    target.connection.proxy = try table.text(.proxy)
    if let rate = try table.rate(.uploadLimit) { target.connection.limitUploads(to: rate) }
    target.connection.surroundings = CredentialSurroundings(
      home: settings.folders.home ?? "/", variable: settings.folders.variable)
    target.connection.version = holdfastVersion
  }

  private func retention(_ table: TargetTable) throws -> RetentionPolicy {
    let own = try table.rules().map { try settings.retention(by: $0) }
    var policy = try own ?? rules() ?? settings.retention(by: RetentionRules())
    // The disk of the repository says nothing about the target.
    policy.minFreeSpace = nil
    return policy
  }

  private func path(_ table: TargetTable, _ key: TargetKey) throws -> String? {
    try table.text(key).map { try PathResolution(folders: settings.folders).path($0, table.origin(key)) }
  }

  private func problem(_ table: TargetTable, _ key: TargetKey, _ problem: String, hint: String) -> HoldfastError {
    ConfigurationProblem(at: table.origin(key), problem, hint: hint).error
  }
}

// The place of a target.
extension TargetList {
  /// The address without `{name}`. A relative path is one of the file's folder.
  private func address(_ text: String, _ table: TargetTable) throws -> String {
    let placeholder = ValueKind.namePlaceholder
    guard case .folder = try StoreURL(text.replacing(placeholder, with: "name")), !text.hasPrefix("file:") else {
      return text.replacing(placeholder, with: StoreURL.encoded(name))
    }
    let path = text.replacing(placeholder, with: name)
    return try PathResolution(folders: settings.folders).path(path, table.origin(.url))
  }

  /// - Throws: `usage` for a folder in the repository, because a copy there is lost with it.
  private func requireOutside(_ url: StoreURL, _ table: TargetTable) throws {
    guard let backupDir, case .folder(let path) = url else { return }
    let (real, repository) = (Self.real(path), Self.real(backupDir))
    guard real.isExactly(repository) || real.hasPrefix("\(repository)/") else { return }
    throw problem(
      table, .url, "names \(path), which is in the backup folder \(backupDir)",
      hint: "name a folder on another disk, or an s3:// URL")
  }

  /// The bucket, or the last part of the path without `{name}`.
  private static func name(of url: StoreURL, written text: String) -> String {
    let candidate =
      switch url {
      case .s3(let location): location.bucket
      case .folder:
        text.split(separator: "/").last { !$0.contains(ValueKind.namePlaceholder) && $0 != "." && $0 != ".." }
          .map(String.init) ?? ""
      }
    let name = String(candidate.map { $0.isLetter || $0.isNumber || "._-".contains($0) ? $0 : "-" })
    let start = name.drop { $0 == "." || $0 == "-" }
    return start.isEmpty ? "target" : String(start.prefix(50))
  }
}

// Names and addresses must be unique among the targets of a database.
extension TargetList {
  private mutating func findCollisions() {
    find({ $0.target.name }, .name) { "gives a target the name \($0.target.name), which \($1) also gives" }
    find({ Self.identity($0.target.url) }, .url) { "names \($0.target.address), which \($1) also names" }
  }

  private mutating func find(
    _ key: (ConfiguredTarget) -> String, _ setting: TargetKey, _ words: (ConfiguredTarget, String) -> String
  ) {
    var seen: [ExactPath: ConfiguredTarget] = [:]
    for target in targets {
      let key = ExactPath(key(target))
      guard let first = seen[key] else {
        seen[key] = target
        continue
      }
      let origin = target.table[setting]?.origin ?? target.table.origin(.url)
      problems.append(
        ConfigurationProblem(
          at: origin, words(target, Self.line(first.table.origin(.url))),
          hint: setting == .name ? "give each target of a database its own name = \"…\"" : "remove one of the two"))
    }
  }

  /// The same for each spelling of one place.
  static func identity(_ url: StoreURL) -> String {
    switch url {
    case .folder(let path): real(path)
    case .s3(let location): "s3://\(location.endpoint?.description ?? "aws")/\(location.bucket)/\(location.prefix)"
    }
  }

  /// The path with links and dots resolved as far as it exists, without `/` at its end.
  private static func real(_ path: String) -> String {
    DatabaseList.real(String(path.absolutePath.reversed().drop { $0 == "/" }.reversed()))
  }

  private static func line(_ origin: Origin) -> String {
    if case .file(_, let position, _) = origin { return "line \(position.line)" }
    return origin.place
  }
}

extension Configuration {
  /// Mistakes in the targets of databases, or in those at the top if no database is named.
  func targetProblems(_ databases: [ConfiguredDatabase]) -> [ConfigurationProblem] {
    guard !databases.isEmpty else {
      return TargetList(settings(), name: "name", backupDir: nil).problems
    }
    return databases.filter { $0.refusal == nil }.flatMap { database in
      TargetList(database.settings, name: database.name, backupDir: database.backupDir).problems
    }
  }
}
