import ArgumentParser
import BackupEngine
import BackupPolicy
import Wording

/// `holdfast create`
struct Create: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Store a backup of the database now.",
    discussion: """
      The backup is full: all pages. --incremental stores only the pages that changed since the newest backup. \
      Each new backup is checked by verify or by --verify.

      Examples:
        holdfast create app.db
        holdfast create --incremental
        holdfast create --pin --description 'before the move' --tags release,v2
      """)

  @Argument(help: "The database, in place of --database.", completion: .file())
  var path: String?

  @OptionGroup var every: EveryDatabaseOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions
  @OptionGroup(title: "New backups") var creation: CreationOptions

  @Option(help: "Describe the backup in words.")
  var description: String?

  @Option(parsing: .upToNextOption, help: "Tags, with spaces or commas between them.")
  var tags: [String] = []

  @Flag(help: "Pin the backup until holdfast unpin.")
  var pin = false

  @Flag(help: "Store all pages, or only the pages that changed since the newest backup (default: full).")
  var kind = Kind.full

  @Flag(.verifyAfterCreate) var verify: Bool?

  func run() throws {
    if let path { try CallerOptions.name(database: path, besides: options.database) }
    let flags = creation.flags.merging(.flags([.verifyAfterCreate: verify.map { "\($0)" }, .database: path]))
    guard path == nil || !every.all else {
      throw HoldfastError(.usage, "--all and a database exclude each other", hint: "leave one of them out")
    }
    try EveryDatabase(options: options, all: every.all).run(flags, create)
  }

  private func create(_ selection: Selection) throws {
    var request = try CreateRequest(ArchiveOptions(selection.settings))
    request.reason.description = description
    request.reason.tags = tags.flatMap { $0.split(separator: ",").map { String($0).trimmed } }.filter { !$0.isEmpty }
    let verify = try selection.settings.boolean(.verifyAfterCreate)
    let engine = try selection.engine(request.archive.encrypt ? .needed : .optional)
    let (point, news) = try options.output.working { progress, _ in
      engine.recordClock()
      let (stored, news) = try store(request, engine, progress)
      if pin { try engine.setPin(true, of: stored.id.text) }
      if verify { try prove(stored.id, engine, progress) }
      return (verify || pin ? try engine.point(stored.id.text).metadata : stored, news)
    }
    try show(point, options.output.quiet ? ["\(point.id)"] : news + PointListing.fields(point, zone: selection.zone))
    Console.tell(FlawWarning.lines(point.id, point.findings))
    guard verify, !point.verified else { return }
    throw HoldfastError(
      .verificationFailed, "\(point.id) does not verify: \(point.verificationErrors.joined(separator: "; "))",
      hint: "check the database with PRAGMA integrity_check, and the disk")
  }
}

extension Create {
  /// If printing fails, the command must not report a failed backup.
  private func show(_ point: PointMetadata, _ lines: [String]) throws {
    do {
      try options.console.show(point.json, lines)
    } catch let error as HoldfastError {
      throw HoldfastError(error.code, "\(point.id) is stored, but \(error.message)", hint: error.hint, cause: error)
    }
  }

  private func prove(_ id: PointID, _ engine: Engine, _ progress: Progress) throws {
    do {
      _ = try engine.verify(id.text, progress: progress)
    } catch let error as HoldfastError where error.code == .interrupted {
      throw HoldfastError(
        .interrupted, "interrupted: \(id) is stored, and not verified yet", hint: "holdfast verify \(id)")
    }
  }

  /// Returns the backup that holds the present content of the database, and lines that explain its
  /// origin.
  private func store(
    _ request: CreateRequest, _ engine: Engine, _ progress: Progress
  ) throws -> (PointMetadata, [String]) {
    switch try engine.store(request, kind: kind.requested, progress: progress) {
    case .stored(let point, _) where kind == .full: (point, ["Created \(point.id)"])
    case .stored(let point, let reason): (point, ["Created \(point.id)", "\(point.kind): \(reason)"])
    case .unchanged(let id): (try engine.point(id.text).metadata, ["Nothing changed since \(id)"])
    }
  }

  /// The content of the backup: all pages, or only the changed ones.
  enum Kind: String, EnumerableFlag {
    case full
    case incremental

    var requested: RequestedKind { self == .full ? .full : .incremental }
  }
}
