import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast create`
struct Create: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Store a full backup of the database.")

  @OptionGroup var options: ServiceOptions
  @OptionGroup var creation: CreationOptions

  @Option(help: "What the backup is of, in words.")
  var description: String?

  @Option(parsing: .upToNextOption, help: "Tags, one or more.")
  var tags: [String] = []

  @Flag(.verifyAfterCreate) var verify: Bool?

  func run() throws {
    let selection = try options.selection(creation.flags.merging(.flags([.verifyAfterCreate: verify.map { "\($0)" }])))
    var request = try CreateRequest(selection.settings)
    request.description = description
    request.tags = tags
    let verify = try selection.settings.boolean(.verifyAfterCreate)
    let service = try selection.service(request.encrypt ? .needed : .optional)
    let point = try options.output.working { progress, _ in
      let metadata = try service.create(request, progress: progress)
      if verify { _ = try service.verify(metadata.id.text, progress: progress) }
      return verify ? try service.point(metadata.id.text).metadata : metadata
    }
    try options.console.show(
      point.json, options.output.quiet ? ["\(point.id)"] : ["Created \(point.id)"] + PointListing.fields(point))
    guard verify, !point.verified else { return }
    throw HoldfastError(
      .verificationFailed, "\(point.id) does not verify: \(point.verificationErrors.joined(separator: "; "))",
      hint: "check the database with PRAGMA integrity_check, and the disk")
  }
}
