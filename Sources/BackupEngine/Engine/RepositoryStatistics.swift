import BackupPolicy

/// Figures of a repository.
///
/// ```swift
/// let stats = try await service.stats()
/// print("\(stats.total) backups, \(stats.totalSize) bytes, \(stats.failed) failed")
/// ```
public struct RepositoryStatistics: Sendable {
  /// Backups of every kind.
  public package(set) var total = 0
  /// Bytes of all archives.
  public package(set) var totalSize: Int64 = 0
  /// Backups whose last verification found no problem.
  public package(set) var verified = 0
  /// Backups that are damaged, have no archive, or failed a verification.
  public package(set) var failed = 0
  /// Backups with anomalies that were not accepted.
  public package(set) var anomalous = 0
  /// Archive size over database size, averaged over the fulls that record both; nil without any.
  public package(set) var averageCompression: Double?
  /// When the oldest backup was made; nil without any.
  public package(set) var oldest: Timestamp?
  /// When the newest backup was made; nil without any.
  public package(set) var newest: Timestamp?

  /// Bytes of an archive on average.
  public var averageSize: Int64 { total == 0 ? 0 : totalSize / Int64(total) }

  package init(_ points: [StoredPoint]) {
    total = points.count
    totalSize = points.reduce(0) { $0.addingClamped($1.metadata.compressedSize) }
    verified = points.count { $0.metadata.verified }
    failed = points.count { $0.metadata.status == .failed }
    anomalous = points.count { $0.isAuthenticated && !$0.metadata.openAnomalies.isEmpty }
    let ratios = points.compactMap { point -> Double? in
      // An incremental is small because little changed.
      guard !point.isIncremental, let size = point.metadata.originalSize, size > 0 else { return nil }
      return Double(point.metadata.compressedSize) / Double(size)
    }
    averageCompression = ratios.isEmpty ? nil : ratios.reduce(0, +) / Double(ratios.count)
    oldest = points.map(\.metadata.created).min()
    newest = points.map(\.metadata.created).max()
  }

  /// - Parameter holds: the holds of anomalies, by the configured rules.
  package func json(_ holds: [AnomalyHold] = []) -> JSONValue {
    .object([
      "total_backups": .optional(total), "total_size": .integer(totalSize), "average_size": .integer(averageSize),
      "verified_backups": .optional(verified), "failed_backups": .optional(failed),
      "anomalous_backups": .optional(anomalous), "holds": .array(holds.map(\.json)),
      "average_compression": averageCompression.map { .number($0) } ?? .null,
      "oldest_backup": .optional(oldest?.iso8601), "newest_backup": .optional(newest?.iso8601),
    ])
  }
}

extension AnomalyHold {
  /// The form in `stats` and `show`.
  package var json: JSONValue {
    .object([
      "backup_id": .string(anomaly.text), "reason": .string(reason), "since": .string(since.iso8601),
      "ends": .optional(ends?.iso8601), "held": .array(held.map { .string($0.text) }),
    ])
  }
}

extension Engine {
  package func statistics() throws -> RepositoryStatistics {
    RepositoryStatistics(try repository().points())
  }
}
