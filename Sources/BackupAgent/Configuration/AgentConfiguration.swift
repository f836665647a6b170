import BackupEngine
import BackupPolicy
import Replication

/// One database that the agent watches, and its settings.
package struct AgentDatabase: Sendable {
  /// The name in log lines, ``AgentControl`` and the status; unique within an agent.
  package var name: String
  /// The database and its repository.
  package var engine: Engine
  package var settings: AgentSettings
  /// The source of the engine's password and key; nil if they cannot be read again.
  package var credentials: CredentialSource?
  /// The places to which its backups are copied, with unique names.
  package var targets: [Target]

  package init(
    name: String, engine: Engine, settings: AgentSettings, credentials: CredentialSource? = nil,
    targets: [Target] = []
  ) {
    self.name = name
    self.engine = engine
    self.settings = settings
    self.credentials = credentials
    self.targets = targets
  }
}

/// The agent's whole configuration. A reload replaces it as a whole.
package struct AgentConfiguration: Sendable {
  package var databases: [AgentDatabase]
  /// How long running backups may continue after a request to stop, in milliseconds, before they
  /// are abandoned.
  package var stopGrace: Int64
  /// Patterns that more databases may match later.
  package var patterns: DatabasePatterns?
  /// The file for the metrics, an absolute path; nil if they are not written.
  package var metricsFile: String?
  package var notifications = NotificationSetup()

  package init(databases: [AgentDatabase], stopGrace: Int64 = 10000, patterns: DatabasePatterns? = nil) {
    self.databases = databases
    self.stopGrace = stopGrace
    self.patterns = patterns
  }

  /// There is one database, and no other can be added.
  var isAlone: Bool { databases.count == 1 && patterns == nil }

  /// The environment that all databases share; nil if there is neither a database nor a pattern.
  var environment: EngineEnvironment? { databases.first?.engine.environment ?? patterns?.environment }
}

extension AgentDatabase {
  /// Identifies a database before and after a reload: by its file and its repository, not by its
  /// name.
  struct Identity: Hashable, Sendable {
    var database: ExactName
    var folder: ExactName
  }

  var identity: Identity {
    Identity(
      database: ExactName(engine.database ?? ""), folder: ExactName(WatchedPath(engine.folder).resolved))
  }
}

extension AgentConfiguration {
  /// - Throws: `usage` if the configuration is contradictory; `keyMissing` if backups are to be
  ///   encrypted and there is no key.
  package func validate() throws {
    guard !databases.isEmpty || patterns != nil else {
      throw HoldfastError.noDatabaseNamed
    }
    var names: Set<ExactName> = []
    var folders: Set<ExactName> = []
    for database in databases {
      try database.requireEssentials()
      guard names.insert(ExactName(database.name)).inserted else {
        throw HoldfastError(
          .usage, "two databases have the name \(database.name)", hint: "give each database its own name")
      }
      guard folders.insert(database.identity.folder).inserted else {
        throw HoldfastError(
          .usage, "two databases have the backup folder \(database.engine.folder)",
          hint: "give each database its own backup folder")
      }
    }
  }
}

extension AgentDatabase {
  func requireEssentials() throws {
    try settings.requireEssentials(of: engine)
    var names: Set<ExactName> = []
    for target in targets where !names.insert(ExactName(target.name)).inserted {
      throw HoldfastError(
        .usage, "\(name) has two targets with the name \(target.name)", hint: "give each target its own name")
    }
  }
}

extension AgentSettings {
  /// Requires a database, and a key if backups are encrypted.
  func requireEssentials(of engine: Engine) throws {
    _ = try engine.requireDatabase()
    try engine.requireKey(toStore: archive)
  }
}

/// Patterns of paths. Their matches are databases and may change while the agent runs.
package struct DatabasePatterns: Sendable {
  /// The databases of a configuration with patterns.
  package struct Expansion: Sendable {
    /// All databases to guard.
    package var databases: [AgentDatabase]
    /// Why others are not guarded, such as a match with the name of another one.
    package var refusals: [HoldfastError]

    package init(databases: [AgentDatabase], refusals: [HoldfastError]) {
      (self.databases, self.refusals) = (databases, refusals)
    }
  }

  /// Absolute paths with `*`, `?` and `[…]`.
  package var texts: [String]
  /// How often to look for matches that no event reports, in milliseconds.
  package var pollInterval: Int64
  package var environment: EngineEnvironment
  /// Returns the paths that match now. It may block, and is cheap.
  package var find: @Sendable () -> [String]
  /// Returns all databases to watch now. It may block.
  package var expand: @Sendable () throws -> Expansion

  package init(
    texts: [String], pollInterval: Int64, environment: EngineEnvironment, find: @escaping @Sendable () -> [String],
    expand: @escaping @Sendable () throws -> Expansion
  ) {
    (self.texts, self.pollInterval, self.environment) = (texts, pollInterval, environment)
    (self.find, self.expand) = (find, expand)
  }
}
