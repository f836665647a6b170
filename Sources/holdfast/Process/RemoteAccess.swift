import BackupEngine
import BackupPolicy
import Logging
import ObjectStorage
import Replication
import Transfer
import Wording

/// Reads backups from the targets of `--from`.
struct RemoteAccess {
  let remote: RemoteOptions
  let newest: NewestOptions?
  let service: ServiceOptions
  /// Whether archives that no key proves are read.
  var acceptsUnauthenticated = false
  /// Whether the command says something about the copies in the target: then the backup folder of
  /// this machine does not stand in for them.
  var isAboutCopies = false

  /// Backups that were fetched into a scratch folder.
  struct Fetched {
    /// Reads the scratch folder.
    let engine: Engine
    /// The same, which also reads the database.
    let withLive: Engine
    /// In the order of the references.
    let chosen: [ChosenPoint]
    /// Of the fetching, which signals stop.
    let progress: Progress
  }

  /// Runs `body` on a backup of the backup folder or, with `--from`, on a fetched one.
  func reading<Result>(
    _ reference: PointReference, _ command: String, _ selection: Selection, _ local: Engine,
    _ body: (Engine, ChosenPoint) throws -> Result
  ) throws -> Result {
    guard remote.isUsed else { return try body(local, reference.choose(selection, local, command)) }
    return try fetching([reference.remote(selection, local, command)], selection, local) {
      try body($0.engine, $0.chosen[0])
    }
  }

  /// Chooses backups, fetches them, and removes them when `body` ends.
  ///
  /// - Parameters:
  ///   - references: the backups.
  ///   - local: the engine of the backup folder, with the key.
  func fetching<Result>(
    _ references: [RemoteReference], _ selection: Selection, _ local: Engine, _ body: (Fetched) throws -> Result
  ) throws -> Result {
    let expectation = try newest?.expectation() ?? NewestExpectation()
    let loop = TransferLoop()
    defer { loop.stop() }
    let (reader, choices, progress) = try advising(selection, local) {
      try service.output.working { progress, _ -> (RemoteReader, [RemoteChoice], Progress) in
        let reader = try open(selection, local, loop, progress)
        let choices = try choose(references, expectation, reader)
        try reader.fetch(choices)
        return (reader, choices, progress)
      }
    }
    defer { reader.folder.remove() }
    let engine = reader.engine().keepingOpen()
    let chosen = try choices.map { try self.chosen($0, reader, engine, selection.zone) }
    let withLive = reader.engine(database: local.database).keepingOpen()
    return try body(Fetched(engine: engine, withLive: withLive, chosen: chosen, progress: progress))
  }

  /// Chooses a backup without fetching what it needs.
  func choosing<Result>(
    _ reference: RemoteReference, _ selection: Selection, _ local: Engine,
    _ body: (RemoteChoice, RemoteOrigin) throws -> Result
  ) throws -> Result {
    let expectation = try newest?.expectation() ?? NewestExpectation()
    let loop = TransferLoop()
    defer { loop.stop() }
    let (choice, origin) = try service.output.working { progress, _ -> (RemoteChoice, RemoteOrigin) in
      let reader = try open(selection, local, loop, progress)
      defer { reader.folder.remove() }
      let choice = try choose([reference], expectation, reader)[0]
      return (choice, try RemoteOrigin(choice, reader, selection.zone))
    }
    return try body(choice, origin)
  }

  /// Lists the backups of the targets.
  func listing(_ selection: Selection, _ local: Engine) throws -> RemoteListing {
    let loop = TransferLoop()
    defer { loop.stop() }
    return try service.output.working { progress, _ -> RemoteListing in
      let reader = try open(selection, local, loop, progress)
      defer { reader.folder.remove() }
      let repository = try reader.open()
      try repository.listAll()
      let doubt = try reader.doubtAboutNames()
      return RemoteListing(
        address: reader.sources.address, repositoryID: repository.id, backups: repository.contents.backups,
        hasKey: !local.credentials.isEmpty, doubt: doubt, warnings: reader.warnings, zone: selection.zone)
    }
  }

  /// Fetches all backups of the targets, one chain after the other, so that only one is in the
  /// scratch folder.
  ///
  /// - Parameter body: gets each backup, the newest first, with an engine that can read it.
  func readingAll(
    _ selection: Selection, _ local: Engine, _ progress: Progress,
    _ body: (PointID, Result<Engine, HoldfastError>) throws -> Void
  ) throws {
    let expectation = try newest?.expectation() ?? NewestExpectation()
    let loop = TransferLoop()
    defer { loop.stop() }
    let reader = try open(selection, local, loop, progress)
    defer { reader.folder.remove() }
    try reader.require(expectation)
    for chain in try reader.chains() {
      try reader.folder.removeArchives()
      let fetched = try chain.map { (id: $0.id, result: try reader.fetch($0)) }
      // Opened once, when all archives of the chain are there: opening reads the header of each.
      let engine = reader.engine().keepingOpen()
      for backup in fetched { try body(backup.id, backup.result.map { engine }) }
    }
  }

  private func choose(
    _ references: [RemoteReference], _ expectation: NewestExpectation, _ reader: RemoteReader
  ) throws -> [RemoteChoice] {
    var choices: [RemoteReference: RemoteChoice] = [:]
    for reference in references where choices[reference] == nil { choices[reference] = try reader.choose(reference) }
    try reader.require(expectation, newest: choices[.latest])
    return references.compactMap { choices[$0] }
  }

  private func chosen(
    _ choice: RemoteChoice, _ reader: RemoteReader, _ engine: Engine, _ zone: ZoneRules
  ) throws -> ChosenPoint {
    ChosenPoint(
      point: try engine.point(choice.backup.id.text), choice: choice.byTime, zone: zone,
      origin: try RemoteOrigin(choice, reader, zone))
  }

  // MARK: Damage

  /// How to repair a damaged copy; nil if this machine does not have the backups, or if the target is
  /// none of the configured ones.
  func repairAdvice(_ selection: Selection, _ local: Engine) -> String? {
    guard isAboutCopies, let address = remote.from.first, (try? local.list())?.isEmpty == false,
      let target = (try? selection.targets())?.first(where: { $0.isNamed(address) })
    else { return nil }
    return "holdfast sync \(target.name) --repair uploads again what is damaged there and whole here"
  }

  private func advising<Result>(_ selection: Selection, _ local: Engine, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch var error as HoldfastError where error.code == .verificationFailed {
      guard let advice = repairAdvice(selection, local) else { throw error }
      error.hint = [advice, error.hint].compactMap(\.self).joined(separator: "; ")
      throw error
    }
  }

  // MARK: Opening

  private func open(
    _ selection: Selection, _ local: Engine, _ loop: TransferLoop, _ progress: Progress
  ) throws -> RemoteReader {
    progress.onStop { loop.stop() }
    var connection = TargetConnection()
    let environment = ProcessEnvironment.current.foreign
    connection.surroundings = CredentialSurroundings(environment: environment, home: environment["HOME"] ?? "/")
    connection.version = holdfastVersion
    // A wrong table of targets must not prevent a restore from a URL.
    let configured = (try? selection.targets()) ?? []
    let targets = try remote.from.map { address in
      if let target = configured.first(where: { $0.name == address }) {
        return BackupSource(address: target.address, store: target.connection.patient.open(target.url, on: loop))
      }
      do {
        let url = try StoreURL(address)
        // The URL of a configured target is reached as that target is.
        let target = configured.first { $0.isNamed(address) }
        return BackupSource(address: address, store: (target?.connection ?? connection).patient.open(url, on: loop))
      } catch let error as StoreError {
        throw HoldfastError(error, of: address)
      }
    }
    var options = RemoteReaderOptions()
    options.repository = remote.repository
    options.acceptsUnauthenticated = acceptsUnauthenticated
    options.zone = selection.zone
    options.records = { WriterRecordFile.reader(local.credentials, repositoryID: $0) }
    let own = isAboutCopies ? [] : [BackupSource(repository: local.folder)]
    let sources = BackupSources(own + targets)
    return try RemoteReader(sources, local.credentials, local.environment, options, progress: progress)
  }
}

extension RemoteOrigin {
  fileprivate init(_ choice: RemoteChoice, _ reader: RemoteReader, _ zone: ZoneRules) throws {
    self.init(
      choice, address: reader.sources.address, figures: try reader.figures([choice]), warnings: reader.warnings,
      at: reader.now, in: zone)
  }

  /// Adds a warning if the backup is of another database than the one that it would replace.
  mutating func compare(with target: RestoreTarget) {
    guard case .database(let path) = target else { return }
    compare(withDatabase: path, resolved: path.resolvingLinks)
  }
}

extension Target {
  /// Whether `--from` names this target: by its name, or by its URL.
  fileprivate func isNamed(_ address: String) -> Bool {
    if name == address { return true }
    return (try? StoreURL(address)).map { TargetList.identity($0) == TargetList.identity(url) } ?? false
  }
}

extension TargetConnection {
  /// The same for a command, which asks a store again that is busy for a moment. The agent tries again
  /// later.
  fileprivate var patient: TargetConnection {
    var connection = self
    connection.uploads.attempts = 4
    return connection
  }
}
