import ArgumentParser
import BackupEngine
import BackupPolicy
import Wording

/// `holdfast verify`
struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check that a backup can be restored.",
    discussion: """
      The result is recorded with the backup. If a backup does not verify, the exit code is 3. With --from the \
      copies in the target are verified, and the result is not recorded.

      Examples:
        holdfast verify latest
        holdfast verify --all --quick
        holdfast verify latest --from s3://bucket/shop --max-age 1h
        holdfast verify --all --from s3://bucket/shop
      """)

  @OptionGroup var reference: PointOptions

  @Flag(help: "Verify all backups, newest first; without --database those of every configured database.")
  var all = false

  @Flag(help: "Verify the backup in every configured database, one after the other.")
  var allDatabases = false

  @Flag(help: "Compare only the file, its size and its checksum; needs no key.")
  var quick = false

  @Flag(help: "Run SQLite's checks even if the same content passed them before.")
  var recheck = false

  @Flag(help: "With --from: accept a backup that no key proves.")
  var acceptUnauthenticated = false

  @OptionGroup(title: "Targets") var remote: RemoteOptions
  @OptionGroup var newest: NewestOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try remote.check(newest, all: allDatabases, flag: "--all-databases")
    try remote.requireOne(for: "verify")
    guard [reference.id != nil, reference.at != nil, all].count(where: { $0 }) == 1 else {
      throw HoldfastError(
        .usage, "verify needs either the ID of a backup, --at TIME or --all",
        hint: "holdfast verify latest selects the newest; holdfast list shows the IDs")
    }
    try EveryDatabase(options: options, all: isForAllDatabases()).run { try verify($0) }
  }

  private func isForAllDatabases() throws -> Bool {
    guard !allDatabases else { return true }
    return try all && !remote.isUsed && options.database == nil
      && options.files.configuration(options.flags).databases().count > 1
  }

  private func verify(_ selection: Selection) throws {
    let engine = try selection.engine(quick && !remote.isUsed ? .optional : .needed)
    let access = RemoteAccess(
      remote: remote, newest: newest, service: options, acceptsUnauthenticated: acceptUnauthenticated,
      isAboutCopies: true)
    guard !all else { return try remote.isUsed ? verifyAll(access, selection, engine) : verify(nil, engine) }
    try access.reading(PointReference(id: reference.id, at: reference.at), "verify", selection, engine) {
      try verify($1, $0)
    }
  }

  /// - Parameter chosen: nil for all backups.
  private func verify(_ chosen: ChosenPoint?, _ engine: Engine) throws {
    let points = try chosen.map { [$0.point] } ?? engine.list()
    try options.console.show(chosen?.lines ?? [])
    var listings = try options.output.working { progress, clear in
      try points.map { point in
        let listing = VerificationListing(
          id: point.id, result: try verify(point.id, engine, progress), commands: .caller)
        clear()
        try show(listing)
        return listing
      }
    }
    if all { try options.console.show(VerificationListing.total(listings)) }
    try nameWhole(&listings) { try engine.newestWhole(besides: $0) }
    try finish(listings) { chosen.map { $0.adding(to: listings[0].json) } ?? .array(listings.map(\.json)) }
  }

  /// Every backup of the targets.
  private func verifyAll(_ access: RemoteAccess, _ selection: Selection, _ engine: Engine) throws {
    var listings = try options.output.working { progress, clear -> [VerificationListing] in
      var listings: [VerificationListing] = []
      try access.readingAll(selection, engine, progress) { id, source in
        let result =
          switch source {
          case .success(let engine): try verify(id, engine, progress)
          case .failure(let error): Result<Verification, HoldfastError>.failure(error)
          }
        let listing = VerificationListing(id: id, result: result, commands: .caller)
        clear()
        try show(listing)
        listings.append(listing)
      }
      return listings
    }
    try options.console.show(VerificationListing.total(listings))
    let whole = listings.first { $0.exitCode == nil }?.id
    try nameWhole(&listings) { _ in whole }
    try finish(listings, access.repairAdvice(selection, engine)) { .array(listings.map(\.json)) }
  }

  private func show(_ listing: VerificationListing) throws {
    try options.console.show(all ? listing.shortLines : listing.lines)
    Console.tell(listing.warnings)
  }

  private func finish(_ listings: [VerificationListing], _ advice: String? = nil, _ json: () -> JSONValue) throws {
    if options.console.json { try options.console.show(json(), []) }
    if let failure = VerificationListing.failure(listings) {
      Console.reportFailure(failure)
      if let advice { Console.tell(["holdfast: hint: \(CallerOptions.applied(to: advice.printable))"]) }
    }
    let codes = listings.compactMap(\.exitCode)
    let failed = HoldfastError.Code.verificationFailed.exitCode
    if let code = codes.contains(failed) ? failed : codes.first { throw ExitCode(code) }
  }

  /// If a backup is broken, names the newest whole one instead.
  private func nameWhole(
    _ listings: inout [VerificationListing], _ newestWhole: (Set<PointID>) throws -> PointID?
  ) throws {
    let broken = Set(listings.flatMap(\.broken))
    guard !broken.isEmpty else { return }
    let whole = try newestWhole(broken)
    for index in listings.indices { listings[index].newestWhole = whole }
    try options.console.show([""] + WholePoint.lines(whole, .caller))
  }

  /// With `--all`, one backup that cannot be verified (it has another key, for example) must not
  /// hide the results of the others.
  private func verify(
    _ id: PointID, _ engine: Engine, _ progress: Progress
  ) throws -> Result<Verification, HoldfastError> {
    do {
      return .success(
        try engine.verify(id.text, depth: quick ? .quick : .full, recheck: recheck, progress: progress))
    } catch let error as HoldfastError where all && error.code != .interrupted {
      return .failure(error)
    }
  }
}
