import BackupPolicy

/// Advice for damaged backups.
package enum WholePoint {
  /// - Parameters:
  ///   - id: of the newest usable backup; nil without one.
  ///   - commands: of the advice.
  package static func lines(_ id: PointID?, _ commands: CommandSpelling) -> [String] {
    guard let id else { return ["No other backup is usable"] }
    return ["The newest usable backup is \(id): " + commands.applied(to: "holdfast restore \(id)")]
  }
}
