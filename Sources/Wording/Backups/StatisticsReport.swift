import BackupEngine
import BackupPolicy

/// The figures of a repository, as `stats` prints them.
package struct StatisticsReport {
  private let statistics: RepositoryStatistics
  private let holds: [AnomalyHold]
  private let drills: DrillListing
  private let zone: ZoneRules

  /// - Parameters:
  ///   - holds: the holds of anomalies, by the configured rules.
  ///   - zone: in which times are shown.
  package init(_ statistics: RepositoryStatistics, holds: [AnomalyHold], drills: DrillListing, zone: ZoneRules) {
    (self.statistics, self.holds, self.drills, self.zone) = (statistics, holds, drills, zone)
  }

  /// The newest proven backup, then all other figures.
  package var lines: [String] {
    var fields = FieldList()
    drills.addProof(&fields)
    fields.add("Total backups", statistics.total.grouped)
    fields.add("Total size", "\(ByteCount(statistics.totalSize))")
    fields.add("Average size", "\(ByteCount(statistics.averageSize))")
    fields.add("Verified", statistics.verified.grouped)
    fields.add("Failed", statistics.failed.grouped)
    if statistics.anomalous > 0 { fields.add("Anomalous", "\(statistics.anomalous.grouped), not accepted yet") }
    fields.add("Compression", statistics.averageCompression.map { "to \($0.percentage) of the database, on average" })
    fields.add("Oldest", statistics.oldest.map(zone.stamp))
    fields.add("Newest", statistics.newest.map(zone.stamp))
    for hold in holds {
      fields.add("Hold", "\(hold.anomaly) holds \(hold.held.count.grouped), \(hold.until(zone))")
    }
    drills.addTimes(&fields)
    return ["Backup statistics:", ""] + fields.lines(indent: 2, width: 21)
  }

  /// The same for scripts.
  package var json: JSONValue { drills.adding(to: statistics.json(holds)) }
}

extension Double {
  /// A share as a percentage with one decimal: `35.2%`.
  var percentage: String {
    let tenths = Int64(clamping: self * 1000)
    return "\(tenths / 10).\(tenths % 10)%"
  }
}

extension Int64 {
  fileprivate init(clamping value: Double) {
    self = value.isNaN ? 0 : value >= 9e18 ? .max : value <= 0 ? 0 : Int64(value.rounded())
  }
}
