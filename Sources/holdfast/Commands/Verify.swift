import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast verify`
struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prove that a backup can be restored.",
    discussion: "Exits with 3 where a backup does not verify. What was found is recorded with the backup.")

  @Argument(help: "The backup's ID, a unique prefix of it, or latest.")
  var id: String?

  @Flag(help: "Verify all backups, newest first.")
  var all = false

  @Flag(help: "Look at file, size and checksum only; needs no key.")
  var quick = false

  @Flag(help: "Run SQLite's checks even where the same content passed them before.")
  var recheck = false

  @OptionGroup var options: ServiceOptions

  func run() throws {
    guard (id != nil) != all else {
      throw HoldfastError(
        .usage, "verify needs either the ID of a backup or --all", hint: "holdfast list shows the IDs")
    }
    let service = try options.selection().service(quick ? .optional : .needed)
    let points = try id.map { [try service.point($0)] } ?? service.list()
    let listings = try options.output.working { progress, clear in
      try points.enumerated().map { number, point in
        let listing = VerificationListing(id: point.id, result: try verify(point.id, service, progress))
        clear()
        try options.console.show((number > 0 ? [""] : []) + listing.lines)
        return listing
      }
    }
    if options.console.json {
      try options.console.show(all ? .array(listings.map(\.json)) : listings[0].json, [])
    }
    let codes = listings.compactMap(\.exitCode)
    let failed = HoldfastError.Code.verificationFailed.exitCode
    if let code = codes.contains(failed) ? failed : codes.first { throw ExitCode(code) }
  }

  /// With `--all`, one backup that cannot be looked at (another key, say) must not hide what the others are like.
  private func verify(
    _ id: PointID, _ service: BackupService, _ progress: Progress
  ) throws -> Result<Verification, HoldfastError> {
    do {
      return .success(
        try service.verify(id.text, depth: quick ? .quick : .full, recheck: recheck, progress: progress))
    } catch let error as HoldfastError where all && error.code != .interrupted {
      return .failure(error)
    }
  }
}
