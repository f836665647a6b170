import BackupEngine

/// Patterns of paths that stand for databases. Which databases these are may change while the agent runs.
package struct DatabasePatterns: Sendable {
  /// Absolute paths with `*`, `?` and `[…]`.
  package var texts: [String]
  /// How often to look for matches that no event reports, in milliseconds.
  package var pollInterval: Int64
  package var environment: EngineEnvironment
  /// Looks what matches now; it may block, and is cheap.
  package var find: @Sendable () -> [String]
  /// All databases that are to be guarded now; it may block.
  package var expand: @Sendable () throws -> [GuardedDatabase]

  package init(
    texts: [String], pollInterval: Int64, environment: EngineEnvironment, find: @escaping @Sendable () -> [String],
    expand: @escaping @Sendable () throws -> [GuardedDatabase]
  ) {
    (self.texts, self.pollInterval, self.environment) = (texts, pollInterval, environment)
    (self.find, self.expand) = (find, expand)
  }
}
