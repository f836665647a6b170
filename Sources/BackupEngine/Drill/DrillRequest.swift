import BackupPolicy

/// What a drill is to do.
package struct DrillRequest: Sendable {
  /// What is asked of the restored database.
  package var assertions: [DrillAssertion]
  package var trigger: DrillRecord.Trigger
  /// Runs SQLite's quick check in place of the full one; the point does not count as verified by it.
  package var isQuick: Bool

  package init(
    assertions: [DrillAssertion] = [], trigger: DrillRecord.Trigger = .manual, isQuick: Bool = false
  ) {
    self.assertions = assertions
    self.trigger = trigger
    self.isQuick = isQuick
  }
}
