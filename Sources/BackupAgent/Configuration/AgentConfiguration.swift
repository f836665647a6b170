import BackupEngine

/// One database that the agent guards, and how.
package struct GuardedDatabase: Sendable {
  /// What log lines, ``AgentControl`` and the status call it; unique within an agent.
  package var name: String
  /// The database and its repository.
  package var service: BackupService
  package var settings: AgentSettings

  package init(name: String, service: BackupService, settings: AgentSettings) {
    self.name = name
    self.service = service
    self.settings = settings
  }
}

/// Everything an agent is told; a reload replaces it as a whole.
package struct AgentConfiguration: Sendable {
  package var databases: [GuardedDatabase]
  /// How long running backups may go on after a request to stop, in milliseconds, before they are abandoned.
  package var stopGrace: Int64

  package init(databases: [GuardedDatabase], stopGrace: Int64 = 10000) {
    self.databases = databases
    self.stopGrace = stopGrace
  }
}
