import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast stats`
struct Stats: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Count the backups and what they take.")

  @OptionGroup var options: ServiceOptions

  func run() throws {
    let statistics = try options.selection().service(.optional).statistics()
    try options.console.show(statistics.json, Self.lines(statistics))
  }

  private static func lines(_ statistics: RepositoryStatistics) -> [String] {
    var fields = FieldList()
    fields.add("Total backups", statistics.total.grouped)
    fields.add("Total size", "\(ByteCount(statistics.totalSize))")
    fields.add("Average size", "\(ByteCount(statistics.averageSize))")
    fields.add("Verified", statistics.verified.grouped)
    fields.add("Failed", statistics.failed.grouped)
    if statistics.anomalous > 0 { fields.add("Anomalous", "\(statistics.anomalous.grouped), not accepted yet") }
    fields.add("Average compression", statistics.averageCompression?.percentage)
    fields.add("Oldest", statistics.oldest?.local)
    fields.add("Newest", statistics.newest?.local)
    return ["Backup statistics:", ""] + fields.lines(indent: 2, width: 21)
  }
}
