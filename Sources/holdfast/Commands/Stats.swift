import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast stats`
struct Stats: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Count the backups and show how much space they use.",
    discussion: """
      Examples:
        holdfast stats
        holdfast stats --all
      """)

  @OptionGroup var every: EveryDatabaseOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try EveryDatabase(options: options, all: every.all).run { try count($0) }
  }

  private func count(_ selection: Selection) throws {
    let engine = try selection.engine(.optional)
    let statistics = try engine.statistics()
    let policy = try selection.settings.retention()
    let holds = try policy.map { try engine.holds($0) } ?? []
    let drills = try engine.drillFigures()
    let now = engine.environment.now()
    // If a setting is wrong, the figures are still shown.
    let maxAge = (try? selection.settings.drillSettings())?.age(at: now)
    let concerns = drills.summary.concerns(maxAge: maxAge, now: now)
    let listing = DrillListing(drills: drills, concerns: concerns, zone: selection.zone)
    try options.console.show(
      listing.adding(to: statistics.json(holds)), Self.lines(statistics, holds, listing, selection.zone))
  }

  private static func lines(
    _ statistics: RepositoryStatistics, _ holds: [AnomalyHold], _ drills: DrillListing, _ zone: ZoneRules
  ) -> [String] {
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
}
