import BackupAgent
import BackupEngine
import BackupPolicy

/// Converts the configuration to an `AgentConfiguration`.
struct AgentSetup: Sendable {
  let retention: RetentionOptions
  let output: OutputOptions

  /// - Throws: `usage` for a value that does not fit, or if no database is named; `refused` if no
  ///   database is enabled.
  func agent(_ configuration: Configuration) throws -> AgentConfiguration {
    try configuration.requireKnownAssertions()
    let databases = try configuration.databases()
    let patterns = configuration.patterns()
    guard !databases.isEmpty || !patterns.isEmpty else {
      throw HoldfastError(
        .usage, "no database is named", hint: "use --database PATH, set DATABASE_URL, or write [[databases]] tables")
    }
    let enabled = try databases.filter { try $0.settings.boolean(.enabled) }
    guard !enabled.isEmpty || !patterns.isEmpty else { throw try disabled(databases) }
    let accepted = enabled.filter { $0.refusal == nil }
    guard !accepted.isEmpty || !patterns.isEmpty else { throw try enabled[0].refusal ?? disabled(databases) }
    var agent = AgentConfiguration(
      databases: try accepted.map(guarded), stopGrace: try configuration.settings().milliseconds(.stopGrace))
    agent.patterns = try watched(patterns, configuration)
    agent.metricsFile = try configuration.settings().path(.metricsFile)
    agent.notifications = try configuration.notifications()
    return agent
  }

  /// The patterns of databases that may appear later. The agent evaluates only the patterns again:
  /// changes of the files count from the next reload on.
  private func watched(_ patterns: [PathPattern], _ configuration: Configuration) throws -> DatabasePatterns? {
    guard !patterns.isEmpty else { return nil }
    let settings = configuration.settings()
    let environment = EngineEnvironment.system(
      stateFolder: try settings.folders.state(), logger: try Selection.logger(settings, output, .info))
    return DatabasePatterns(
      texts: patterns.map { $0.text.absolutePath }, pollInterval: try settings.milliseconds(.pollInterval),
      environment: environment,
      find: {
        // The names of the states also: a database that is gone is forgotten with its state.
        patterns.flatMap(\.matches).filter(DatabaseList.isDatabase) + configuration.folders.namesOfStates()
      },
      expand: {
        let enabled = try configuration.databaseList().0.filter { try $0.settings.boolean(.enabled) }
        return DatabasePatterns.Expansion(
          databases: try enabled.filter { $0.refusal == nil }.map(guarded), refusals: enabled.compactMap(\.refusal))
      })
  }

  private func disabled(_ databases: [ConfiguredDatabase]) throws -> HoldfastError {
    let origin = databases[0].settings.origin(.enabled)
    let name = origin == .variable(SettingKey.enabled.variable) ? SettingKey.enabled.variable : origin.place
    return HoldfastError(
      .refused, "\(name) is false, so the agent does not start", hint: "set it to true, or remove it")
  }

  private func guarded(_ database: ConfiguredDatabase) throws -> AgentDatabase {
    var settings = try agentSettings(database.settings)
    settings.assertions = database.settings.assertions(of: database.name)
    let selection = Selection(database, output)
    let engine = try selection.engine(
      settings.archive.encrypt ? .needed : .optional, defaults: settings.archive, logLevel: .info, keepsOpen: false)
    let credentials = CredentialSettings(settings: database.settings, files: engine.environment.files)
    return AgentDatabase(
      name: database.name, engine: engine, settings: settings,
      credentials: CredentialSource(paths: credentials.paths(), read: credentials.credentialsOfNextStart),
      targets: try database.targets(settings.retention))
  }

  /// How the agent treats one database.
  func agentSettings(_ settings: Settings) throws -> AgentSettings {
    var agent = AgentSettings()
    for row in SettingTable.rows {
      if case .agent(let property) = row.use { try property.store(row.key, of: settings, in: &agent) }
    }
    agent.compaction = try settings.boolean(.thin) ? CompactionPolicy() : nil
    agent.drills = try settings.drillSettings()
    agent.retention = try retention.policy(settings)
    agent.archive = try ArchiveOptions(settings)
    return agent
  }
}

/// The property of the agent's settings that gets the value of a setting.
enum AgentProperty: Sendable {
  typealias Path<Value> = any WritableKeyPath<AgentSettings, Value> & Sendable

  case boolean(Path<Bool>)
  case milliseconds(Path<Int64>)
  case mode(Path<TriggerMode>)
  case schedules(Path<[CronSchedule]>)
  case zone(Path<ZoneRules>)
  case quietHours(Path<QuietHours?>)

  func store(_ key: SettingKey, of settings: Settings, in agent: inout AgentSettings) throws {
    switch self {
    case .boolean(let path): agent[keyPath: path] = try settings.boolean(key)
    case .milliseconds(let path): agent[keyPath: path] = try settings.milliseconds(key)
    case .mode(let path): agent[keyPath: path] = try settings.mode()
    case .schedules(let path): agent[keyPath: path] = try settings.schedules(key)
    case .zone(let path): agent[keyPath: path] = try settings.zone()
    case .quietHours(let path): agent[keyPath: path] = try settings.quietHours()
    }
  }
}
