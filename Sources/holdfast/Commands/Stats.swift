import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast stats`
struct Stats: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Count the backups and what they take.")

  @OptionGroup var options: ServiceOptions

  func run() throws {
    let selection = try options.selection()
    let service = try selection.service(.optional)
    let statistics = try service.statistics()
    let policy = try RetentionOptions.configured(selection.settings)
    let holds = try policy.map { try service.holds($0) } ?? []
    try options.console.show(statistics.json(holds), Self.lines(statistics, holds, selection.zone))
  }

  private static func lines(
    _ statistics: RepositoryStatistics, _ holds: [AnomalyHold], _ zone: ZoneRules
  ) -> [String] {
    var fields = FieldList()
    fields.add("Total backups", statistics.total.grouped)
    fields.add("Total size", "\(ByteCount(statistics.totalSize))")
    fields.add("Average size", "\(ByteCount(statistics.averageSize))")
    fields.add("Verified", statistics.verified.grouped)
    fields.add("Failed", statistics.failed.grouped)
    if statistics.anomalous > 0 { fields.add("Anomalous", "\(statistics.anomalous.grouped), not accepted yet") }
    fields.add("Average compression", statistics.averageCompression?.percentage)
    fields.add("Oldest", statistics.oldest.map(zone.wallClock))
    fields.add("Newest", statistics.newest.map(zone.wallClock))
    for hold in holds {
      fields.add("Hold", "\(hold.anomaly) holds \(hold.held.count.grouped), \(hold.until(zone))")
    }
    return ["Backup statistics:", ""] + fields.lines(indent: 2, width: 21)
  }
}
