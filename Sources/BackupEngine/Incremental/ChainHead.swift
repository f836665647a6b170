import BackupPolicy

/// The newest backup, with everything that an incremental on it needs. It is found once and then
/// carried from backup to backup.
struct ChainHead {
  var id: PointID
  var sequence: UInt64
  var chainID: PointID
  /// The digest of the image, and its shape.
  var state: PageDigestsHeader
  var secret: PageDigest.Secret
  /// Nil without encryption.
  var seal: RepositorySeal?
  var weight: ChainWeight
  /// The facts in the newest backup's header and metadata.
  var facts: ParentFacts
  /// The history with which the next backup's content is compared.
  var history: ContentHistory
  /// The other paths of the database that the next backup records.
  var otherPaths: [String]
  var numbers: PointNumbers
  /// The status of the repository's folder and of the newest archive, read under the lock.
  var stamps: RepositoryStamps
  var filename: String

  /// Whether the repository is unchanged since then.
  func isCurrent(in repository: Repository) throws -> Bool {
    try stamps == RepositoryStamps(repository, archive: filename)
  }

  var parent: IncrementalParent {
    IncrementalParent(id: id, sequence: sequence, filename: filename, digest: state.digest.hex)
  }

  var protection: Protection { seal == nil ? .none : .aes256GCM }
}

/// Changes whenever a file is added, removed or replaced.
struct RepositoryStamps: Hashable {
  private let folder: FileStatus?
  private let archive: FileStatus?

  init(_ repository: Repository, archive: String) throws {
    folder = try repository.files.status(repository.folder)
    self.archive = try repository.files.status(repository.path(archive))
  }
}

/// The free names and sequence numbers, known without listing the folder.
struct PointNumbers {
  private(set) var nextSequence: UInt64
  private var newest: PointID?

  init(_ points: [StoredPoint], nextSequence: UInt64) {
    self.nextSequence = nextSequence
    newest = points.map(\.id).max { ($0.second, $0.number) < ($1.second, $1.number) }
  }

  /// Nil if the clock was set back behind the newest name; then a listing is needed.
  func unusedID(at now: Timestamp) -> PointID? {
    let first = PointID(at: now)
    guard let newest else { return first }
    if first.second < newest.second { return nil }
    return first.second == newest.second ? PointID(at: now, number: newest.number + 1) : first
  }

  mutating func use(_ id: PointID) {
    nextSequence += 1
    if let newest, (newest.second, newest.number) > (id.second, id.number) { return }
    newest = id
  }
}

/// Finds the backup on which the next incremental may build, and proves its chain.
struct HeadFinder {
  let repository: Repository
  let environment: EngineEnvironment
  let progress: Progress

  enum Finding {
    case head(ChainHead)
    case fullNeeded(reason: String)
  }

  /// Needs the exclusive lock. Reads every backup's facts, and the head and trailer of each link.
  func find(_ request: CreateRequest, _ kind: RequestedKind) throws -> Finding {
    let listing = try repository.listingToStore(isSafety: false, progress)
    repository.storeDerived(listing.all)
    var facts = ChainFacts(requested: kind, backupType: request.reason.type, protection: request.archive.protection)
    let candidate = repository.newestParent(of: listing.own)
    facts.parent = candidate.map { ParentFacts($0) }
    let fullAfter = try repository.hostState()?.fullAfter ?? 0
    facts.parent?.isBeforeTakeOver = candidate.flatMap(\.metadata.sequence).map { $0 <= fullAfter } ?? false
    if case .full(let reason) = ChainPolicy.decide(facts) { return .fullNeeded(reason: reason) }
    guard let candidate, var parent = facts.parent else { return .fullNeeded(reason: ChainPolicy.noParent) }
    let image = try prove(candidate, &parent)
    let seal = try request.archive.encrypt ? seal(listing.all, image, candidate, &parent) : nil
    facts.parent = parent
    if case .full(let reason) = ChainPolicy.decide(facts) { return .fullNeeded(reason: reason) }
    guard let image, let digest = image.digest else { return .fullNeeded(reason: "\(candidate.id) has no digest") }
    return .head(try head(candidate, parent, image, digest, seal, listing))
  }

  /// Reads the head and trailer of every link. Returns nil, with the reason in `parent`, if the
  /// chain is broken or cannot be read with our key.
  private func prove(_ candidate: StoredPoint, _ parent: inout ParentFacts) throws -> LinkImage? {
    do {
      let chain = try repository.chain(of: candidate)
      if let link = chain.links.first(where: \.hasUnreadableMetadata) {
        parent.chainProblem = "the metadata of \(link.id) cannot be read"
        return nil
      }
      let open = try OpenChain(chain, in: repository, isLocked: true)
      let image = try open.provenImages(repository.credentials)[0]
      parent.hasDigest = image.digest != nil
      return image
    } catch let failure as ChainFailure {
      parent.chainProblem = failure.error(for: candidate.id).message
    } catch let error as HoldfastError where error.cause is BrokenLink {
      parent.chainProblem = error.message
    } catch let error as HoldfastError where [.wrongKey, .keyMissing].contains(error.code) {
      throw HoldfastError.wrongKey(forNewest: candidate.id, of: repository)
    }
    return nil
  }

  private func seal(
    _ points: [StoredPoint], _ image: LinkImage?, _ candidate: StoredPoint, _ parent: inout ParentFacts
  ) throws -> RepositorySeal {
    let identity = try repository.identity(points, iterations: environment.passwordIterations)
    let seal = try RepositorySeal(identity, repository.credentials)
    parent.isOfThisRepository = candidate.metadata.repositoryID == identity.id.hex
    if let image { parent.isUnderOurKey = seal.digestKey.withBytes { Array($0) } == image.digestKey }
    return seal
  }

  private func head(
    _ point: StoredPoint, _ parent: ParentFacts, _ image: LinkImage, _ digest: [UInt8], _ seal: RepositorySeal?,
    _ listing: RepositoryListing
  ) throws -> ChainHead {
    if let seal { try repository.rememberTrust(point.metadata, listing.all, sealed: seal.identity.id.hex) }
    let chain = try repository.chain(of: point)
    var facts = parent
    facts.point.pageSize = image.pageSize
    return ChainHead(
      id: point.id, sequence: point.metadata.sequence ?? 0, chainID: point.metadata.chainID ?? chain.full.id,
      state: PageDigestsHeader(
        point: point.id, digest: digest, pageSize: image.pageSize, pageCount: image.pageCount),
      secret: image.secret, seal: seal, weight: ChainWeight(chain), facts: facts,
      history: ContentHistory(listing.own), otherPaths: listing.otherPaths,
      numbers: PointNumbers(listing.all, nextSequence: try repository.numbers.next(after: listing.all)),
      stamps: try RepositoryStamps(repository, archive: point.name.text), filename: point.name.text)
  }
}

extension ParentFacts {
  init(_ point: StoredPoint) {
    let metadata = point.metadata
    self.init(
      Point(point), protection: metadata.encrypted ? (metadata.cipher ?? .aes256CBC).protection : .none,
      databasePath: metadata.databasePath)
    if point.isDamaged || point.archiveMissing || point.hasUnreadableMetadata {
      chainProblem = point.problems.first ?? "it is damaged"
    }
    hasDigest = point.name.encrypted || metadata.digest != nil
  }
}

extension ChainWeight {
  init(_ chain: PointChain) {
    self.init(
      full: chain.full.id, fullBytes: chain.full.metadata.compressedSize, incrementals: chain.links.count - 1,
      incrementalBytes: chain.links.dropLast().reduce(0) { $0.addingClamped($1.metadata.compressedSize) })
  }
}
