import ArgumentParser
import BackupEngine
import BackupPolicy
import Names

/// `holdfast show`
struct Show: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show everything that is known of a backup, and what a restore of it would read.",
    discussion: """
      With --schema it shows the statements that made the database's tables, indexes, views and triggers instead, as \
      sqlite3's .schema does but for its comments and SQLite's own tables. That reads the backup, and needs its key.
      """)

  @Flag(help: "Show the database's schema at that point.")
  var schema = false

  @OptionGroup var reference: PointOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    let selection = try options.selection()
    let service = try selection.service(schema ? .needed : .optional)
    let chosen = try reference.choose(selection, service, "show")
    guard !schema else { return try showSchema(chosen, service) }
    let details = PointDetails(
      try service.drillFigures().marked(chosen.point), chain: try service.chain(of: chosen.point),
      holds: try holds(selection.settings, service),
      zone: chosen.zone)
    try options.console.show(chosen.adding(to: details.json), chosen.lines + details.lines)
  }

  private func showSchema(_ chosen: ChosenPoint, _ service: BackupService) throws {
    let objects = try options.output.working { progress, _ in try service.schema(of: chosen.point, progress: progress) }
    if !options.console.json, !options.console.quiet { Console.tell(chosen.lines.filter { !$0.isEmpty }) }
    let document = JSONValue.array(
      objects.map {
        .object([
          "type": .string($0.type), "name": .string($0.name.description), "table": .string($0.table.description),
          "sql": .string($0.sql.description),
        ])
      })
    try options.console.show(document, objects.flatMap { "\($0.sql);".lines }, isVerbatim: true)
  }

  /// What anomalies hold, by the rules that are configured. Finding out reads every archive's head, so only where there is one.
  private func holds(_ settings: Settings, _ service: BackupService) throws -> [AnomalyHold] {
    guard let policy = try settings.retention(), try service.statistics().anomalous > 0 else {
      return []
    }
    return try service.holds(policy)
  }
}
