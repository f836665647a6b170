import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast delete`
struct Delete: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Remove one backup.")

  @Argument(help: "The backup's ID, a unique prefix of it, or latest.")
  var id: String

  @Flag(help: "Go on without asking.")
  var yes = false

  @Flag(help: "Say what would be removed and remove nothing.")
  var dryRun = false

  @OptionGroup var options: ServiceOptions

  func run() throws {
    let service = try options.selection().service(.optional)
    let point = try service.point(id)
    let fields = PointListing.fields(point.metadata, problems: point.problems)
    guard !dryRun else {
      return try options.console.show(json(point, deleted: false), ["Would delete \(point.id)"] + fields)
    }
    if !yes { try options.console.show(["\(point.id)"] + fields + [""]) }
    try Confirmation(console: options.console, given: yes).require("Delete this backup for good?")
    _ = try service.delete(point.id.text)
    try options.console.show(json(point, deleted: true), options.output.quiet ? [] : ["Deleted \(point.id)"])
  }

  private func json(_ point: StoredPoint, deleted: Bool) -> JSONValue {
    .object(["backup_id": .string(point.id.text), "deleted": .bool(deleted)])
  }
}
