import BackupEngine
import BackupPolicy
import Wording

/// The state of all databases at one moment, as values that another thread makes words from.
struct StateReport: Sendable {
  private struct Entry: Sendable {
    var status: DatabaseStatus
    var engine: Engine
    var limits: HeartbeatVerdict.Limits
  }

  private let entries: [Entry]
  /// Why databases that match a pattern are not backed up.
  let refusals: [String]
  private let isStopping: Bool

  init(_ coordinators: [DatabaseCoordinator], refusals: [OpenAlarm], isStopping: Bool) {
    (self.refusals, self.isStopping) = (refusals.map(\.message), isStopping)
    entries = coordinators.map { coordinator in
      let database = coordinator.database
      return Entry(
        status: coordinator.status, engine: database.engine,
        limits: HeartbeatVerdict.Limits(database, at: database.engine.environment.now()))
    }
  }

  /// Looks at the files of the databases, which may block.
  func facts() -> [(facts: StateFacts, limits: HeartbeatVerdict.Limits)] {
    entries.compactMap { entry in
      StateFacts(status: entry.status.json, isStopping: isStopping, entry.engine.environment).map {
        ($0, entry.limits)
      }
    }
  }

  /// More lines of the daily report about each database. Reads the lists of backups, which may take a
  /// second.
  func figures(at now: Timestamp) -> [String: [String]] {
    Dictionary(
      entries.compactMap { entry -> (String, [String])? in
        guard let points = try? entry.engine.list().map(\.metadata) else { return nil }
        let recent = points.filter { $0.created > now.adding(seconds: -86400) }
        func words(_ points: [PointMetadata]) -> String {
          let bytes = points.reduce(Int64(0)) { $0.addingClamped($1.compressedSize) }
          return "\(points.count.grouped) backup\(points.count == 1 ? "" : "s"), \(ByteCount(bytes))"
        }
        return (entry.status.name, ["Stored: \(words(points))", "In the last 24 h: \(words(recent))"])
      }, uniquingKeysWith: { first, _ in first })
  }
}

extension HeartbeatVerdict.Limits {
  /// How long a change may be in no backup, in seconds: as long as a target may be behind.
  private static let exposure: Int64 = 900

  fileprivate init(_ database: AgentDatabase, at now: Timestamp) {
    self.init(
      exposure: max(Self.exposure, database.settings.triggers.maxDelay / 1000 * 2),
      lags: Dictionary(database.targets.map { ($0.name, $0.lag) }, uniquingKeysWith: { first, _ in first }),
      drillAge: database.settings.drills.isActive ? database.settings.drills.age(at: now) : nil)
  }
}
