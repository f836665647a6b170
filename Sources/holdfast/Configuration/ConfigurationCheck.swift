import BackupEngine
import BackupPolicy
import TOML

/// Checks the whole configuration, including the values that no command has read yet.
struct ConfigurationCheck {
  private let configuration: Configuration
  private let files: any FileOperations

  init(_ configuration: Configuration, files: any FileOperations) {
    self.configuration = configuration
    self.files = files
  }

  /// All mistakes, by file and line, without repetitions.
  func problems() -> [ConfigurationProblem] {
    let (databases, list) = configuration.databaseList()
    var found = configuration.problems + list + configuration.assertionProblems()
    for settings in [configuration.settings()] + tables + databases.map(\.settings) {
      found += values(settings) + paths(settings) + credentials(settings) + relations(settings)
    }
    if databases.isEmpty { found += noDatabase(list) }
    for database in databases { found += places(database) }
    found += configuration.targetProblems(databases) + targetFiles(databases)
    found += configuration.channelProblems(files)
    return Self.sorted(found)
  }

  /// The settings of tables that give no database because of another mistake.
  private var tables: [Settings] { (configuration.file?.databases ?? []).map { configuration.settings($0) } }

  private static func sorted(_ problems: [ConfigurationProblem]) -> [ConfigurationProblem] {
    var seen: Set<ConfigurationProblem> = []
    let once = problems.filter { seen.insert($0).inserted }
    let files = once.compactMap(\.file)
    return once.enumerated().sorted { left, right in
      let (a, b) = (rank(left.element, files), rank(right.element, files))
      return a == b ? left.offset < right.offset : a < b
    }.map(\.element)
  }

  private static func rank(_ problem: ConfigurationProblem, _ files: [String]) -> FilePosition {
    guard let file = problem.file, let number = files.firstIndex(of: file) else {
      return FilePosition(line: -1, column: 0)
    }
    // One number: files in the order in which they were read, then lines.
    let position = problem.position ?? FilePosition(line: 0, column: 0)
    return FilePosition(line: number << 32 + position.line, column: position.column)
  }

  /// The values of all layers, because a lower one counts as soon as the one above it is removed.
  private func values(_ settings: Settings) -> [ConfigurationProblem] {
    settings.layers.flatMap { layer in
      SettingKey.allCases.compactMap { key -> ConfigurationProblem? in
        guard let given = layer[key], !given.isForeignAddress else { return nil }
        do throws(ValueProblem) {
          _ = try key.definition.kind.read(given.raw)
          return nil
        } catch {
          return ConfigurationProblem(error, given)
        }
      }
    }
  }

  private func noDatabase(_ list: [ConfigurationProblem]) -> [ConfigurationProblem] {
    guard list.isEmpty else { return [] }
    return [
      ConfigurationProblem(
        .warning, "no database is named",
        hint: "use --database PATH, set DATABASE_URL, or write database = \"…\" in holdfast.toml")
    ]
  }

  /// Mistakes in paths.
  private func paths(_ settings: Settings) -> [ConfigurationProblem] {
    [SettingKey.backupDir, .keyFile, .passwordFile].compactMap { key in
      do {
        let path = try settings.path(key)
        guard key == .backupDir, let path, let status = try? files.status(path), status.kind != .folder else {
          return nil
        }
        return ConfigurationProblem(
          at: settings.origin(key), "names \(path), which is not a folder", hint: "name a folder")
      } catch {
        return ConfigurationProblem(error)
      }
    }
  }

  private func places(_ database: ConfiguredDatabase) -> [ConfigurationProblem] {
    guard !DatabaseList.exists(database.path) else { return [] }
    guard !database.isMatch else {
      return [
        ConfigurationProblem(
          .warning, at: database.origin, "matched \(database.path), which no longer exists",
          hint: "holdfast restore latest --database \(database.name) restores it; if it was removed on purpose, "
            + "move its backups away (\(database.backupDir)); the hint of holdfast create --database "
            + "\(database.name.shellWord) then has the command that forgets it")
      ]
    }
    return [
      ConfigurationProblem(
        .warning, at: database.origin, "names \(database.path), which does not exist",
        hint: "check the path; the agent waits for it")
    ]
  }

  /// Mistakes in the files that targets name.
  private func targetFiles(_ databases: [ConfiguredDatabase]) -> [ConfigurationProblem] {
    let tables = databases.isEmpty ? configuration.settings().targetTables : databases.flatMap(\.settings.targetTables)
    return tables.flatMap { table in
      [TargetKey.credentialsFile, .caFile].compactMap { key -> ConfigurationProblem? in
        let resolution = PathResolution(folders: configuration.folders)
        guard let text = try? table.text(key), let path = try? resolution.path(text, table.origin(key)) else {
          return nil
        }
        guard let status = try? files.status(path) else {
          return ConfigurationProblem(
            at: table.origin(key), "names \(path), which does not exist", hint: "check the path")
        }
        guard key == .credentialsFile, status.permissions & 0o004 != 0 else { return nil }
        return ConfigurationProblem(
          .warning, at: table.origin(key), "names \(path), which every user of this host can read",
          hint: "chmod 600 \(path)")
      }
    }
  }

  private func credentials(_ settings: Settings) -> [ConfigurationProblem] {
    let readable = [SettingKey.keyFile, .passwordFile].compactMap { key -> ConfigurationProblem? in
      guard let path = try? settings.path(key), let status = try? files.status(path), status.permissions & 0o004 != 0
      else { return nil }
      return ConfigurationProblem(
        .warning, at: settings.origin(key), "names \(path), which every user of this host can read",
        hint: "chmod 600 \(path)")
    }
    do {
      _ = try CredentialSettings(settings: settings, files: files, namesSettings: false).credentials()
      return readable
    } catch let error as HoldfastError where error.code != .usage {
      let isPassword = error.message.contains("the password file")
      return readable + [
        ConfigurationProblem(
          at: settings.origin(isPassword ? .passwordFile : .keyFile), ": \(error.message)",
          hint: error.hint ?? "check the path and its permissions")
      ]
    } catch {
      return readable + [ConfigurationProblem(error)]
    }
  }

  /// Values that contradict each other.
  private func relations(_ settings: Settings) -> [ConfigurationProblem] {
    var found: [ConfigurationProblem] = []
    do { _ = try settings.mode() } catch { found.append(ConfigurationProblem(error)) }
    if let quiet = try? settings.milliseconds(.debounce), let longest = try? settings.milliseconds(.maxDelay),
      longest < quiet
    {
      found.append(
        ConfigurationProblem(
          .warning, at: settings.given(.debounce)?.origin ?? settings.origin(.maxDelay),
          "makes debounce (\(TimeSpan.spelt(quiet))) longer than max_delay (\(TimeSpan.spelt(longest))), which takes precedence",
          hint: "set max_delay to at least debounce"))
    }
    if let last = try? settings.integer(.keepLast), let most = try? settings.integer(.maxBackups), most < last {
      found.append(
        ConfigurationProblem(
          .warning, at: settings.origin(.maxBackups), "is \(most), less than keep_last \(last), and takes precedence",
          hint: "set max_backups to at least keep_last"))
    }
    return found
  }
}

extension Configuration {
  /// Assertions about databases that are not configured: a query that never runs proves nothing.
  func assertionProblems() -> [ConfigurationProblem] {
    guard let file else { return [] }
    var list = DatabaseList(configuration: self)
    list.read(single: file.top[.database], tables: file.databases)
    let names = list.databases.map(\.name)
    let mayMatchMore = file.databases.contains { PathPattern($0.path?.raw.text ?? "") != nil }
    return file.assertions.compactMap(\.database).filter { !names.contains($0.raw.text) }.map { given in
      let near = NearestName.of(given.raw.text, in: names).map { "did you mean \($0)?" }
      let known =
        names.isEmpty ? "this file names no database" : "the names are: \(names.joined(separator: ", ").shortened)"
      return ConfigurationProblem(
        mayMatchMore ? .warning : .error, at: given.origin,
        "is \(given.raw.quoted), which is not a configured database",
        hint: near ?? "omit it, or name a database; \(known)")
    }
  }

  /// - Throws: `usage` for an assertion that no drill would run.
  func requireKnownAssertions() throws {
    if let problem = assertionProblems().first(where: { $0.severity == .error }) { throw problem.error }
  }
}
