import BackupEngine
import BackupPolicy
import Glibc
import Names

/// The configured databases: expands patterns, gives names and folders, and finds collisions.
struct DatabaseList {
  let configuration: Configuration
  private(set) var databases: [ConfiguredDatabase] = []
  var problems: [ConfigurationProblem] = []
  /// The patterns that more databases may match later.
  private(set) var patterns: [PathPattern] = []

  init(configuration: Configuration) {
    self.configuration = configuration
  }

  mutating func read(single: Given?, tables: [SettingsFile.Database]) {
    guard let single else { return expand(tables) }
    switch single.origin {
    case .flag:
      // The name or path of a table selects that table; any other path is a database of its own.
      guard !tables.isEmpty else { return addSingle(single) }
      expand(tables)
      pick(single, amongFlag: true)
    case .file where !tables.isEmpty:
      problems.append(
        ConfigurationProblem(
          at: single.origin, "is set beside [[databases]], but only one of them can count",
          hint: "make it a [[databases]] table with path = \"…\""))
      expand(tables)
    case .variable, .envFile:
      addSingle(single)
      guard !tables.isEmpty else { return }
      problems.append(
        ConfigurationProblem(
          .warning, at: single.origin, "is set, so the [[databases]] of \(configuration.file?.path ?? "") are ignored",
          hint: "unset it to use them"))
    default: addSingle(single)
    }
  }

  private mutating func expand(_ tables: [SettingsFile.Database]) {
    for table in tables { catching { try $0.add(table) } }
    findCollisions()
    if databases.count == 1 {
      catching { try $0.databases[0] = $0.withFlaggedFolder($0.databases[0]) }
    } else if let flag = configuration.flags[.backupDir], databases.count > 1 {
      problems.append(
        ConfigurationProblem(
          at: flag.origin, "is the folder of one database, but \(databases.count) are configured",
          hint: "add --database with a name, or set backup_dir in \(configuration.file?.path ?? "the file")"))
    }
  }

  /// Records a mistake and continues.
  private mutating func catching(_ body: (inout DatabaseList) throws -> Void) {
    do {
      try body(&self)
    } catch {
      problems.append(ConfigurationProblem(error))
    }
  }

  /// A database's path in any of its spellings.
  private func path(_ given: Given) throws -> String {
    // Reported before all other mistakes, because the URL may contain a password.
    if given.isForeignAddress { return try DatabaseAddress.path(given.raw.text.unquoted, from: given.origin.place) }
    guard case .text(let text) = try read(given, as: .database) else { return "" }
    let path = try DatabaseAddress.path(text, from: given.origin.place)
    return try PathResolution(folders: configuration.folders).path(path, given.origin)
  }

  private func read(_ given: Given, as kind: ValueKind) throws -> SettingValue {
    do throws(ValueProblem) {
      return try kind.read(given.raw)
    } catch {
      throw ConfigurationProblem.Failure(ConfigurationProblem(error, given))
    }
  }

  private func fail(_ origin: Origin, _ problem: String, hint: String) -> ConfigurationProblem.Failure {
    ConfigurationProblem.Failure(ConfigurationProblem(at: origin, problem, hint: hint))
  }
}

// One database, named by `database`.
extension DatabaseList {
  private mutating func addSingle(_ given: Given) {
    catching { list in
      let path = try list.path(given)
      if case .file = given.origin, PathPattern(path) != nil, !Self.exists(path) {
        throw list.fail(
          given.origin, "is a pattern, but one database is needed here",
          hint: "put it into a [[databases]] table: path = \"\(given.raw.text.shortened)\"")
      }
      let settings = list.configuration.settings()
      list.databases.append(
        ConfiguredDatabase(
          name: path.lastComponent.withoutExtension, path: path,
          backupDir: try settings.path(.backupDir) ?? Engine.defaultFolder(of: path), settings: settings,
          origin: given.origin,
          nameOrigin: given.origin))
    }
  }

  /// `--database`, if there are tables.
  private mutating func pick(_ given: Given, amongFlag: Bool) {
    let all = databases
    (databases, patterns) = ([], [])
    catching { list in
      let path = try list.path(given)
      let wanted = Self.real(path)
      if let found = all.first(where: { $0.name.isExactly(given.raw.text) })
        ?? all.first(where: { Self.real($0.path).isExactly(wanted) })
      {
        // The command is about this one, so mistakes in the others do not matter.
        list.problems = []
        list.databases = [try list.withFlaggedFolder(found)]
      } else if path.contains("/") || path.contains(".") || Self.exists(path) {
        list.problems = []
        list.addSingle(given)
      } else {
        let names = all.map(\.name)
        let near = NearestName.of(path, in: names).map { "did you mean \($0)?" }
        throw list.fail(
          given.origin, "\(given.raw.quoted) is not a configured database",
          hint: near ?? "use a path, or one of the names: \(names.joined(separator: ", ").shortened)")
      }
    }
  }

  /// `--backup-dir` beside `--database` means that very folder.
  private func withFlaggedFolder(_ database: ConfiguredDatabase) throws -> ConfiguredDatabase {
    guard configuration.flags[.backupDir] != nil, let folder = try database.settings.path(.backupDir) else {
      return database
    }
    // With path and folder it is certain which database is meant, so a refusal for its name does not matter.
    let isNamed = configuration.flags[.database].map { $0.raw.text.isExactly(database.name) } ?? true
    return ConfiguredDatabase(
      name: database.name, path: database.path, backupDir: folder, settings: database.settings, origin: database.origin,
      nameOrigin: database.nameOrigin, refusal: isNamed ? database.refusal : nil)
  }
}

// One `[[databases]]` table.
extension DatabaseList {
  private mutating func add(_ table: SettingsFile.Database) throws {
    guard let given = table.path else {
      throw fail(table.origin, "has no path", hint: "write path = \"/srv/app/app.db\" below it")
    }
    let path = try path(given)
    // A file whose name is the pattern's text does not end the pattern, because then any user could
    // end the other backups by creating one. If the table has a name, or if the pattern has only
    // brackets that match nothing else, it is that one file.
    guard let pattern = PathPattern(path), !isLiteral(pattern, hasName: table.name != nil) else {
      let name = try table.name.map { try self.name($0) } ?? path.lastComponent.withoutExtension
      return try append(path, name, table, given, nameOrigin: table.name?.origin ?? given.origin)
    }
    if let name = table.name {
      throw fail(
        name.origin, "is set beside a pattern, which may match several databases",
        hint: "remove it: each database is named after the matched part of its path")
    }
    let matches = pattern.matches.filter(Self.isDatabase)
    let settings = configuration.settings(table)
    if (try? settings.boolean(.enabled)) != false { patterns.append(pattern) }
    let (states, errors) = configuration.folders.statesOfStoredBackups()
    let named = PatternMatches(pattern, matches, folder: try settings.path(.backupDir), states: states)
    appendUnknown(errors, table, given)
    if named.all.isEmpty {
      problems.append(
        ConfigurationProblem(
          .warning, at: given.origin, "matches no file: \(given.raw.quoted)", hint: "check the pattern"))
    }
    for match in named.all {
      try append(match.path, match.name, table, given, isPattern: true, nameOrigin: given.origin)
      if let refusal = match.refusal { refuse(databases.count - 1, refusal) }
    }
  }

  /// A state that cannot be read may be of a database that is gone: commands about all databases report it as one.
  private mutating func appendUnknown(_ errors: [HoldfastError], _ table: SettingsFile.Database, _ given: Given) {
    for error in errors where !databases.contains(where: { $0.refusal?.message == error.message }) {
      let database = ConfiguredDatabase(
        name: "unknown-\(databases.count + 1)", path: given.raw.text, backupDir: "",
        settings: configuration.settings(table), origin: given.origin, nameOrigin: given.origin)
      databases.append(database)
      refuse(databases.count - 1, error)
    }
  }

  private mutating func refuse(_ index: Int, _ error: HoldfastError) {
    databases[index].refusal = error
    let hint = error.hint ?? "check the pattern"
    problems.append(ConfigurationProblem(.warning, at: databases[index].origin, error.message, hint: hint))
  }

  private func isLiteral(_ pattern: PathPattern, hasName: Bool) -> Bool {
    guard Self.exists(pattern.text) else { return false }
    let isOpen = pattern.text.utf8.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") }
    return hasName || !isOpen && pattern.matches.allSatisfy { $0.isExactly(pattern.text) }
  }

  private func name(_ given: Given) throws -> String {
    guard case .text(let name) = try read(given, as: .text) else { return "" }
    let isSound =
      name != "." && name != ".." && name.utf8.count <= 100
      && !name.contains { $0 == "/" || $0.isNewline || $0 == "\0" }
    guard isSound else {
      throw fail(
        given.origin, "is \(given.raw.quoted), which cannot name a folder", hint: "use letters, digits, dots and dashes"
      )
    }
    return name
  }

  private mutating func append(
    _ path: String, _ name: String, _ table: SettingsFile.Database, _ given: Given, isPattern: Bool = false,
    nameOrigin: Origin
  ) throws {
    let settings = configuration.settings(table)
    databases.append(
      ConfiguredDatabase(
        name: name, path: path, backupDir: try folder(path, name, table, settings, isPattern: isPattern),
        settings: settings, origin: given.origin, nameOrigin: nameOrigin, isMatch: isPattern))
  }

  /// A folder that is set for one database is its own; a folder that is set for all, or for a
  /// pattern, contains one for each.
  private func folder(
    _ path: String, _ name: String, _ table: SettingsFile.Database, _ settings: Settings, isPattern: Bool
  ) throws -> String {
    guard let folder = try settings.path(.backupDir) else {
      return "\(Engine.defaultFolder(of: path))/\(name)"
    }
    let isOwn = settings.given(.backupDir) == table.layer[.backupDir]
    return isOwn && (!isPattern || holdsBackups(folder, of: path, table)) ? folder : "\(folder)/\(name)"
  }

  /// Whether a file whose name is the pattern's text has its backups in the folder itself, from
  /// before the pattern.
  private func holdsBackups(_ folder: String, of path: String, _ table: SettingsFile.Database) -> Bool {
    guard let given = table.path, (try? self.path(given)) == path else { return false }
    return KnownDatabase.path(of: folder, SystemFileOperations()).map(Self.real) == Self.real(path)
  }
}

// Paths, names and folders of backups must be unique.
extension DatabaseList {
  /// Reports two databases in one place at the name of the second one.
  mutating func findCollisions() {
    find(
      { Self.real($0.path) }, \.origin,
      { "names \($0.path), which \(Self.line($1.origin)) also names" }, hint: "remove one of the two")
    find(
      \.name, \.nameOrigin,
      { "gives the name \($0.name), which \(Self.line($1.nameOrigin)) also gives: \($0.path) and \($1.path)" },
      hint: "give each its own name = \"…\"")
    find(
      { Self.real($0.backupDir) }, { $0.settings.given(.backupDir)?.origin ?? $0.origin },
      { "gives \($0.path) the backup folder of \($1.path): \($0.backupDir)" },
      hint: "give each database its own backup_dir")
  }

  private mutating func find(
    _ key: (ConfiguredDatabase) -> String, _ origin: (ConfiguredDatabase) -> Origin,
    _ problem: (ConfiguredDatabase, ConfiguredDatabase) -> String, hint: String
  ) {
    var seen: [ExactPath: Int] = [:]
    for index in databases.indices where databases[index].refusal == nil {
      let key = ExactPath(key(databases[index]))
      guard let first = seen[key] else {
        seen[key] = index
        continue
      }
      let (database, other) = (databases[index], databases[first])
      let found = ConfigurationProblem(at: origin(database), problem(database, other), hint: hint)
      // A match that is in the way of another database stops nothing but itself: anybody could end the other backups by
      // making one.
      if database.isMatch {
        refuse(index, found.error)
      } else if other.isMatch {
        refuse(first, found.error)
        seen[key] = index
      } else {
        problems.append(found)
      }
    }
  }

  private static func line(_ origin: Origin) -> String {
    if case .file(_, let position, _) = origin { return "line \(position.line)" }
    return origin.place
  }
}

/// File system facts about paths that may be databases. No file is opened, because closing a second
/// descriptor on a database would drop SQLite's locks.
extension DatabaseList {
  static func exists(_ path: String) -> Bool { access(path.raw, F_OK) == 0 }

  /// The path with links and dots resolved as far as it exists.
  static func real(_ path: String) -> String {
    if let real = realpath(path.raw, nil) {
      defer { free(real) }
      return String(path: real)
    }
    let parent = path.parentPath
    guard parent != path else { return path }
    let folder = real(parent)
    return folder == "/" ? "/\(path.lastComponent)" : "\(folder)/\(path.lastComponent)"
  }

  /// Whether a pattern's match is a database, and not a file that SQLite or a backup creates beside
  /// one.
  static func isDatabase(_ path: String) -> Bool {
    var status = stat()
    guard stat(path.raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
    let name = path.lastComponent
    if ["-wal", "-shm", "-journal"].contains(where: name.hasSuffix) { return false }
    return PointID(name.prefix { $0 != "." }.description) == nil
  }
}
