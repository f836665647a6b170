import BackupEngine

/// One database that the agent guards, and how.
package struct GuardedDatabase: Sendable {
  /// What log lines, ``AgentControl`` and the status call it; unique within an agent.
  package var name: String
  /// The database and its repository.
  package var service: BackupService
  package var settings: AgentSettings
  /// Where the service's password and key come from; nil if they cannot be read again.
  package var credentials: CredentialSource?

  package init(
    name: String, service: BackupService, settings: AgentSettings, credentials: CredentialSource? = nil
  ) {
    self.name = name
    self.service = service
    self.settings = settings
    self.credentials = credentials
  }
}

/// Everything an agent is told; a reload replaces it as a whole.
package struct AgentConfiguration: Sendable {
  package var databases: [GuardedDatabase]
  /// How long running backups may go on after a request to stop, in milliseconds, before they are abandoned.
  package var stopGrace: Int64
  /// Patterns that more databases may match later.
  package var patterns: DatabasePatterns?

  package init(databases: [GuardedDatabase], stopGrace: Int64 = 10000, patterns: DatabasePatterns? = nil) {
    self.databases = databases
    self.stopGrace = stopGrace
    self.patterns = patterns
  }

  /// What all databases share; nil if there is neither a database nor a pattern.
  var environment: EngineEnvironment? { databases.first?.service.environment ?? patterns?.environment }
}
