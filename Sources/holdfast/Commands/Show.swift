import ArgumentParser
import BackupEngine
import BackupPolicy
import Names
import Wording

/// `holdfast show`
struct Show: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Describe one backup, and what a restore of it would read.",
    discussion: """
      --schema prints the statements that made the tables, indexes, views and triggers instead. It reads the \
      backup and needs the key.

      Examples:
        holdfast show latest
        holdfast show --at 'yesterday 14:03'
        holdfast show latest --schema
        holdfast show latest --from s3://bucket/shop
      """)

  @Flag(help: "Show the schema of the database in that backup.")
  var schema = false

  @OptionGroup var reference: PointOptions

  @Flag(help: "With --from: accept a backup that no key proves.")
  var acceptUnauthenticated = false

  @OptionGroup(title: "Targets") var remote: RemoteOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try remote.check()
    let selection = try options.selection()
    let engine = try selection.engine(schema || remote.isUsed ? .needed : .optional)
    let access = RemoteAccess(
      remote: remote, newest: nil, service: options, acceptsUnauthenticated: acceptUnauthenticated)
    try access.reading(PointReference(id: reference.id, at: reference.at), "show", selection, engine) {
      try show($1, $0, selection.settings)
    }
  }

  private func show(_ chosen: ChosenPoint, _ engine: Engine, _ settings: Settings) throws {
    guard !schema else { return try showSchema(chosen, engine) }
    let details = PointDetails(
      try engine.drillFigures().marked(chosen.point), chain: try engine.chain(of: chosen.point),
      // A part of a repository does not show its holds.
      holds: remote.isUsed ? [] : try holds(settings, engine),
      zone: chosen.zone)
    try options.console.show(chosen.adding(to: details.json), chosen.lines + details.lines)
  }

  private func showSchema(_ chosen: ChosenPoint, _ engine: Engine) throws {
    let objects = try options.output.working { progress, _ in try engine.schema(of: chosen.point, progress: progress) }
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

  /// Returns the holds of anomalies by the configured rules. This reads every archive's head, so it
  /// is done only if there is an anomaly.
  private func holds(_ settings: Settings, _ engine: Engine) throws -> [AnomalyHold] {
    guard let policy = try settings.retention(), try engine.statistics().anomalous > 0 else {
      return []
    }
    return try engine.holds(policy)
  }
}
