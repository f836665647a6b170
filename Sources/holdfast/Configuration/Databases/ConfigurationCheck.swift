import BackupEngine
import BackupPolicy

/// Looks at everything that is configured, also at what no command has asked for yet.
struct ConfigurationCheck {
  private let configuration: Configuration
  private let files: any FileOperations

  init(_ configuration: Configuration, files: any FileOperations) {
    self.configuration = configuration
    self.files = files
  }

  /// Everything that is wrong, file by file in the order of lines, each said once.
  func problems() -> [ConfigurationProblem] {
    let (databases, list) = configuration.databaseList()
    var found = configuration.problems + list
    for settings in [configuration.settings()] + tables + databases.map(\.settings) { found += values(settings) }
    if databases.isEmpty { found += noDatabase(list) }
    for database in databases { found += paths(database) + relations(database.settings) }
    return Self.sorted(found)
  }

  /// Those of tables that led to no database, because of something else.
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

  /// Every layer's values, not only those that win: the one below counts as soon as the one above is gone.
  private func values(_ settings: Settings) -> [ConfigurationProblem] {
    settings.layers.flatMap { layer in
      SettingKey.allCases.compactMap { key -> ConfigurationProblem? in
        guard let given = layer[key] else { return nil }
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

  private func paths(_ database: ConfiguredDatabase) -> [ConfigurationProblem] {
    var found: [ConfigurationProblem] = []
    let settings = database.settings
    if !DatabaseList.exists(database.path) {
      found.append(
        ConfigurationProblem(
          .warning, at: database.origin, "names \(database.path), and nothing is there",
          hint: "check the path; the agent waits for it"))
    }
    if let status = try? files.status(database.backupDir), status.kind != .folder {
      found.append(
        ConfigurationProblem(
          at: settings.origin(.backupDir), "is \(database.backupDir), which is not a folder", hint: "name a folder"))
    }
    return found + credentials(settings)
  }

  private func credentials(_ settings: Settings) -> [ConfigurationProblem] {
    var found: [ConfigurationProblem] = []
    for key in [SettingKey.keyFile, .passwordFile] {
      guard let path = try? settings.path(key), let status = try? files.status(path) else { continue }
      if status.permissions & 0o004 != 0 {
        found.append(
          ConfigurationProblem(
            .warning, at: settings.origin(key), "names \(path), which every user of this host can read",
            hint: "chmod 600 \(path)"))
      }
    }
    do {
      _ = try CredentialSettings(settings: settings, files: files).credentials()
    } catch let error as HoldfastError where error.code != .usage || error.message.contains("both set") {
      let key: SettingKey =
        settings.given(.passwordFile) != nil && error.message.contains("password") ? .passwordFile : .keyFile
      found.append(
        ConfigurationProblem(
          at: settings.origin(key), ": \(error.message)", hint: error.hint ?? "check the path and who may read it"))
    } catch {}
    return found
  }

  /// Values that do not go together.
  private func relations(_ settings: Settings) -> [ConfigurationProblem] {
    var found: [ConfigurationProblem] = []
    if (try? settings.schedules()) != nil, let mode = settings.given(.mode), case .text? = try? settings.value(.mode),
      (try? settings.mode()) == nil
    {
      found.append(
        ConfigurationProblem(
          at: mode.origin, "is schedule, and there is no schedule",
          hint: "set schedule = \"0 2 * * *\", say, or mode = \"change\""))
    }
    if let quiet = try? settings.milliseconds(.debounce), let longest = try? settings.milliseconds(.maxDelay),
      longest < quiet
    {
      found.append(
        ConfigurationProblem(
          .warning, at: settings.given(.debounce)?.origin ?? settings.origin(.maxDelay),
          "makes debounce (\(TimeSpan.spelt(quiet))) longer than max_delay (\(TimeSpan.spelt(longest))), which wins",
          hint: "give max_delay at least the length of debounce"))
    }
    if let last = try? settings.integer(.keepLast), let most = try? settings.integer(.maxBackups), most < last {
      found.append(
        ConfigurationProblem(
          .warning, at: settings.origin(.maxBackups), "is \(most), less than keep_last \(last), and wins",
          hint: "give max_backups at least the number of keep_last"))
    }
    return found
  }
}
