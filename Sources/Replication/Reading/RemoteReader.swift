import BackupEngine
import BackupPolicy
import Names
import ObjectStorage

/// A backup as a person names it.
package enum RemoteReference: Hashable, Sendable {
  case latest
  /// An ID or the beginning of one.
  case named(String)
  /// The newest that is not after this time.
  case moment(Timestamp)
  /// Any that `latest` might be.
  case random
}

/// A backup in a target that a reader chose, and the archives that it needs.
package struct RemoteChoice: Sendable {
  package let backup: RemoteBackup
  /// The choice by a time; nil if another reference named it.
  package let byTime: PointByTime?
  /// The facts of its header; nil for an archive without one.
  package let metadata: PointMetadata?
  /// Lower case, no full stop.
  package let warnings: [String]
}

/// The rules of one command that reads from targets.
package struct RemoteReaderOptions {
  /// The repository, or the beginning of its ID; nil if there is only one.
  package var repository: String?
  /// Reads archives that no key proves.
  package var acceptsUnauthenticated = false
  /// The zone in which messages show times.
  package var zone: ZoneRules = .utc
  /// See ``RemoteRepository``.
  package var records: ((_ repositoryID: String) -> WriterRecordReader?)?

  package init() {}
}

/// Reads backups from targets: chooses one by names, proves it by its header, and fetches the
/// archives that it needs.
package final class RemoteReader {
  package let sources: BackupSources
  package let folder: FetchFolder
  let credentials: Credentials
  let environment: EngineEnvironment
  let options: RemoteReaderOptions
  let progress: Progress
  /// Nil until ``open()``.
  private(set) var repository: RemoteRepository?
  private var verdicts: [RemoteName: RemoteVerdict] = [:]
  private var notes: [String] = []
  /// What is in the scratch folder.
  private var fetched: [ArchiveName: RemoteName] = [:]

  /// Fulls above this many bytes are not fetched before their header is known.
  private static let largestProbe: Int64 = 1 << 20
  /// Anyone can write names: at so many places the header of one archive is read.
  private static let mostHeads = 8
  /// And of so many backups besides the chosen one.
  private static let mostWitnesses = 8

  /// - Parameter environment: of this host.
  package init(
    _ sources: BackupSources, _ credentials: Credentials, _ environment: EngineEnvironment,
    _ options: RemoteReaderOptions, progress: Progress
  ) throws {
    (self.sources, self.credentials, self.environment) = (sources, credentials, environment)
    (self.options, self.progress) = (options, progress)
    folder = try FetchFolder(in: environment.stateFolder, environment.files)
  }

  package var now: Timestamp { environment.now() }
  package var acceptsUnauthenticated: Bool { options.acceptsUnauthenticated }

  /// Lower case, no full stop.
  package var warnings: [String] { sources.warnings + notes }

  /// Opens the repository in the targets.
  ///
  /// - Throws: `pointNotFound` if there is none, `refused` if there are several.
  @discardableResult
  package func open() throws -> RemoteRepository {
    if let repository { return repository }
    let (found, note) = try RepositorySearch(reader: self).choose()
    notes += note.map { [$0] } ?? []
    repository = found
    return found
  }

  /// An engine on the fetched archives. It knows nothing of this host's own repository.
  ///
  /// - Parameter database: a database to read beside them.
  package func engine(database: String? = nil) -> Engine {
    var environment = environment
    environment.stateFolder = folder.state
    return Engine(database: database, folder: folder.repository, credentials: credentials, environment: environment)
  }

  // MARK: Proving

  /// Reads the header of a backup's own archive. A small archive is fetched for that as a whole.
  func verdict(_ backup: RemoteBackup, in repository: RemoteRepository, headOnly: Bool = false) throws -> RemoteVerdict
  {
    if let known = verdicts[backup.name] { return known }
    let verdict = try examine(backup, repository, headOnly: headOnly)
    verdicts[backup.name] = verdict
    // A file that is no backup must not be beside those that are fetched.
    if case .usable = verdict { return verdict }
    try environment.files.unlink(folder.path(of: backup.name.archive))
    return verdict
  }

  private func examine(
    _ backup: RemoteBackup, _ repository: RemoteRepository, headOnly: Bool
  ) throws -> RemoteVerdict {
    let name = backup.name
    guard name.archive.encrypted || options.acceptsUnauthenticated else { return .unproved(.unproved(name.id)) }
    let parent = backup.needed.dropFirst().first
    var job = job(name, parent, repository)
    // An archive that the key does not prove is no damage, whatever its header says.
    job.checksHeader = false
    let isWhole = !headOnly && (name.bytes <= Self.largestProbe || !name.archive.encrypted) && backup.isComplete
    // The beginning of a damaged archive may be read at one place, and a whole one at another.
    let jobs = isWhole || job.holders.isEmpty ? [job] : job.holders.prefix(Self.mostHeads).map { job.only(at: $0) }
    var verdicts: [RemoteVerdict] = []
    var failure: HoldfastError?
    for job in jobs {
      do {
        let verdict = try examine(job, isWhole: isWhole, backup, parent, repository)
        if case .usable = verdict { return verdict }
        verdicts.append(verdict)
      } catch let error as HoldfastError where ![.interrupted, .noSpace].contains(error.code) {
        failure = failure ?? error
      }
    }
    // A place that fails may have it when it answers again.
    if let failure { throw failure }
    return verdicts.first(where: \.isUnproved) ?? verdicts[0]
  }

  private func examine(
    _ job: FetchJob, isWhole: Bool, _ backup: RemoteBackup, _ parent: PointID?, _ repository: RemoteRepository
  ) throws -> RemoteVerdict {
    let name = job.name
    do {
      let path = isWhole ? folder.path(of: name.archive) : folder.headPath
      if isWhole {
        try transfer(repository).fetch(job)
        fetched[name.archive] = name
      } else {
        try writeHead(transfer(repository).head(job))
      }
      return try examine(FetchedArchive(name.archive, at: path, environment.files), backup, parent, repository)
    } catch let lost as LostArchive {
      return .damaged(lost)
    } catch let error as HoldfastError where [.wrongKey, .unauthenticated].contains(error.code) {
      return .unproved(error)
    } catch let error as HoldfastError where error.code == .keyMissing && !credentials.isEmpty {
      // It needs a password, and a key file was given, or the reverse.
      return .unproved(error)
    } catch let error as HoldfastError where error.code == .archiveCorrupt {
      return .damaged(LostArchive(name: name, reason: error.message, isGone: false))
    }
  }

  private func examine(
    _ archive: FetchedArchive, _ backup: RemoteBackup, _ parent: PointID?, _ repository: RemoteRepository
  ) throws -> RemoteVerdict {
    do {
      try archive.prove(credentials)
    } catch let error as HoldfastError where error.code == .unauthenticated {
      guard options.acceptsUnauthenticated else { return .unproved(.unproved(backup.id)) }
    }
    // The parent of an incomplete backup is not known.
    let expected = backup.isComplete ? parent : archive.metadata?.parentID
    if let reason = archive.contradiction(to: backup.name, parent: expected, repository.id) {
      return .damaged(LostArchive(name: backup.name, reason: reason, isGone: false))
    }
    return .usable(archive.metadata)
  }

  private func writeHead(_ bytes: [UInt8]) throws {
    let files = environment.files
    try files.unlink(folder.headPath)
    let file = try files.open(folder.headPath, .createPrivate)
    defer { files.close(file) }
    try bytes.withUnsafeBytes { try files.write(file, $0, at: 0) }
  }

  // MARK: Fetching

  /// Fetches the archives that these backups need.
  ///
  /// - Throws: `verificationFailed` if one of them is damaged or missing, `noSpace`, and the errors
  ///   of stores.
  package func fetch(_ choices: [RemoteChoice]) throws {
    let repository = try open()
    var relisted: Set<Int64> = []
    while true {
      let needed = try choices.flatMap { try jobs(for: $0, repository) }
      do {
        return try fetch(needed, repository)
      } catch let lost as LostArchive {
        // A merge may have replaced it by another archive of the same backup.
        if lost.isGone, relisted.insert(lost.name.chain).inserted {
          try repository.listAgain(lost.name.chain)
        } else {
          repository.lose([lost.name])
        }
        for choice in choices where repository.contents.way(to: choice.backup.id) == nil {
          throw try broken(choice.backup, lost, in: repository)
        }
      }
    }
  }

  private func fetch(_ jobs: [FetchJob], _ repository: RemoteRepository) throws {
    var known: Set<RemoteName> = []
    let files = environment.files
    let missing = try jobs.filter { job in
      guard known.insert(job.name).inserted else { return false }
      // Another archive may have the same name: of another machine, or with other pages.
      guard fetched[job.name.archive] == job.name else { return true }
      return try files.status(folder.path(of: job.name.archive))?.size != job.name.bytes
    }
    let bytes = missing.reduce(Int64(0)) { $0.addingClamped($1.name.bytes) }
    let free = try folder.freeSpace()
    guard bytes <= free else {
      throw HoldfastError(
        .noSpace, "the archives have \(ByteCount(bytes)), but only \(ByteCount(free)) is free in the scratch folder",
        hint: "set XDG_STATE_HOME to a folder on a larger file system")
    }
    guard !missing.isEmpty else { return }
    for job in missing { fetched[job.name.archive] = nil }
    try transfer(repository).fetch(missing)
    for job in missing { fetched[job.name.archive] = job.name }
  }

  private func jobs(for choice: RemoteChoice, _ repository: RemoteRepository) throws -> [FetchJob] {
    let way = try self.way(to: choice, repository)
    return way.enumerated().map { index, name in
      job(name, index + 1 < way.count ? way[index + 1].id : nil, repository)
    }
  }

  private func way(to choice: RemoteChoice, _ repository: RemoteRepository) throws -> [RemoteName] {
    if let way = repository.contents.way(to: choice.backup.id) { return way }
    throw try broken(choice.backup, nil, in: repository)
  }

  private func job(_ name: RemoteName, _ parent: PointID?, _ repository: RemoteRepository) -> FetchJob {
    FetchJob(
      name: name, parent: parent, holders: repository.holders(of: name), hasMetadata: repository.hasMetadata(name))
  }

  private func transfer(_ repository: RemoteRepository) -> ArchiveFetch {
    ArchiveFetch(
      repositoryID: repository.id, repository: folder.repository, files: environment.files, progress: progress,
      acceptsUnauthenticated: options.acceptsUnauthenticated)
  }

  /// The number and the bytes of the archives that these backups need.
  package func figures(_ choices: [RemoteChoice]) throws -> (objects: Int, bytes: Int64) {
    let repository = try open()
    let names = Set(try choices.flatMap { try way(to: $0, repository) })
    return (names.count, names.reduce(Int64(0)) { $0.addingClamped($1.bytes) })
  }

  // MARK: Witnesses

  /// The warning if this host stored newer backups than the target has; nil if not.
  ///
  /// - Parameter chosen: the newest backup that the key proves, or any other one that it proves.
  func rollbackWarning(_ chosen: RemoteBackup, in repository: RemoteRepository) -> String? {
    let states = HostStateStore(folder: environment.stateFolder, files: environment.files)
    guard let stored = (try? states.newestSequence(ofRepository: repository.id)) ?? nil else { return nil }
    let known = Int64(clamping: stored)
    let newest = newestProved(besides: chosen, upTo: known, in: repository)
    guard newest < known else { return nil }
    return
      "this host stored number \(known), and the newest there is number \(newest): newer ones were not copied, were removed, or are withheld"
  }

  /// The newest number in the target that a header proves: anyone can write a name with a large number. The
  /// newest backup of this host may be one that is never chosen, so a few heads are read for it.
  ///
  /// - Parameter known: the newest number that this host stored; a larger one is not looked for.
  private func newestProved(
    besides chosen: RemoteBackup, upTo known: Int64, in repository: RemoteRepository
  ) -> Int64 {
    guard chosen.sequence < known else { return chosen.sequence }
    let newer = repository.contents.backups.filter { $0.sequence > chosen.sequence && !$0.isSuperseded }
    let proved = newer.first { verdicts[$0.name]?.isUsable == true }?.sequence ?? chosen.sequence
    guard proved < known else { return proved }
    var unread = Self.mostWitnesses
    for backup in newer where backup.sequence > proved && backup.sequence <= known && verdicts[backup.name] == nil {
      guard unread > 0, let verdict = try? verdict(backup, in: repository, headOnly: true) else { break }
      if verdict.isUsable { return backup.sequence }
      unread -= 1
    }
    return proved
  }

  // MARK: Damage

  /// The error if a backup cannot be read: names the newest whole one, and its distance.
  ///
  /// - Parameter lost: the archive at fault; nil if one is missing.
  func broken(_ backup: RemoteBackup, _ lost: LostArchive?, in repository: RemoteRepository) throws -> HoldfastError {
    let zone = options.zone
    let reason = lost?.text(for: backup.id) ?? "an archive that it needs is missing"
    var error = HoldfastError(
      .verificationFailed,
      "\(backup.id) of \(zone.wallClock(backup.created)) cannot be read from \(sources.address): \(reason)",
      hint: "no other backup there is whole")
    repository.lose([lost?.name ?? backup.name])
    if let whole = try repository.newest(of: \.candidates, { $0.id != backup.id && isAllowed($0) }) {
      let distance = backup.created.milliseconds - whole.created.milliseconds
      let words = "\(Words.distance(milliseconds: abs(distance))) \(distance < 0 ? "newer" : "older")"
      error.hint =
        "the newest whole backup is \(whole.id) of \(zone.wallClock(whole.created)), \(words): holdfast restore \(whole.id)"
    }
    return error
  }

  /// Whether a reader may choose it: names tell which archives no key can prove.
  func isAllowed(_ backup: RemoteBackup) -> Bool { backup.name.archive.encrypted || options.acceptsUnauthenticated }
}

/// The result of reading the header of a backup's own archive.
enum RemoteVerdict: Sendable {
  /// With the facts of the header, if it has one.
  case usable(PointMetadata?)
  /// The key does not prove it.
  case unproved(HoldfastError)
  case damaged(LostArchive)

  var isUsable: Bool { if case .usable = self { true } else { false } }
  var isUnproved: Bool { if case .unproved = self { true } else { false } }
}
