import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast stats`
struct Stats: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Count the backups and what they take.")

  @OptionGroup var options: ServiceOptions

  func run() throws {
    let selection = try options.selection()
    let statistics = try selection.service(.optional).statistics()
    try options.console.show(statistics.json, Self.lines(statistics, selection.zone))
  }

  private static func lines(_ statistics: RepositoryStatistics, _ zone: ZoneRules) -> [String] {
    var fields = FieldList()
    fields.add("Total backups", statistics.total.grouped)
    fields.add("Total size", "\(ByteCount(statistics.totalSize))")
    fields.add("Average size", "\(ByteCount(statistics.averageSize))")
    fields.add("Verified", statistics.verified.grouped)
    fields.add("Failed", statistics.failed.grouped)
    fields.add("Average compression", statistics.averageCompression?.percentage)
    fields.add("Oldest", statistics.oldest.map(zone.wallClock))
    fields.add("Newest", statistics.newest.map(zone.wallClock))
    return ["Backup statistics:", ""] + fields.lines(indent: 2, width: 21)
  }
}
