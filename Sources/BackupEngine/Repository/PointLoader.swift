import BackupPolicy

/// Reads one point's archive head and metadata and settles what is true of it.
struct PointLoader {
  let folder: String
  let files: any FileOperations
  let credentials: Credentials
  let trust: RepositoryTrust
  /// The repository's, as it records it: deriving for its salt is paid once.
  let identity: RepositoryIdentity?
  /// What the ledger says, which wins.
  let pins: [PointID: Bool]

  /// - Parameter names: the archives with this ID; more than one only where somebody put another beside ours.
  /// - Throws: if this process is out of descriptors or memory: that says nothing about the point.
  func load(_ names: [ArchiveName]) throws -> StoredPoint {
    let heads = try names.map { name in (name, try unlessShortage { try head(name) }) }
    let chosen = heads.first { (try? $0.1.get())?.sealed != nil } ?? heads[0]
    var point = try settle(chosen.0, chosen.1)
    if names.count > 1 {
      let others = names.filter { $0 != chosen.0 }.map(\.text).joined(separator: ", ")
      point.problems.append("another file has the same ID and is ignored: \(others)")
    }
    authenticate(&point, (try? chosen.1.get())?.sealed)
    if let pinned = pins[point.id] { point.metadata.pinned = pinned }
    return point
  }

  /// Metadata whose archive is gone.
  func orphan(_ id: PointID) throws -> StoredPoint? {
    guard case .success(var metadata?) = try metadata(id), let name = ArchiveName(metadata.filename) else { return nil }
    metadata.status = .failed
    if let pinned = pins[id] { metadata.pinned = pinned }
    return StoredPoint(
      name: name, metadata: metadata, problems: ["the archive \(metadata.filename) is missing"], archiveMissing: true)
  }

  /// What stands at the beginning of an archive, as far as its form has something there.
  private struct Head {
    var sealed: SealedHeader?
    var header: ArchiveHeader?
  }

  private func head(_ name: ArchiveName) throws -> Head {
    guard name.encrypted || name.content == .pages else { return Head() }
    let file = try files.open("\(folder)/\(name.text)", .readNoFollow)
    defer { files.close(file) }
    guard name.encrypted else { return Head(header: try PlainHead.read(file, compressed: name.compressed, files)) }
    let sealed = try SealedHeader(file, files)
    return Head(sealed: sealed, header: sealed?.header)
  }

  /// A failure that is about the file stays with its point; one that is about the whole process is thrown.
  private func unlessShortage<Value>(_ body: () throws -> Value) throws -> Result<Value, any Error> {
    do {
      return .success(try body())
    } catch let error as HoldfastError where error.isShortage {
      throw error
    } catch {
      return .failure(error)
    }
  }

  /// - Throws: if this process is out of descriptors or memory.
  private func metadata(_ id: PointID) throws -> Result<PointMetadata?, HoldfastError> {
    do {
      guard let bytes = try files.contents("\(folder)/.metadata/\(id).json", limit: 8 << 20) else {
        return .success(nil)
      }
      guard let json = JSONValue(parsing: bytes) else {
        return .failure(HoldfastError(.failed, bytes.isEmpty ? "it is empty" : "it is not JSON"))
      }
      let metadata = try PointMetadata(json)
      guard metadata.id == id else { return .failure(HoldfastError(.failed, "it belongs to \(metadata.id)")) }
      return .success(metadata)
    } catch let problem as MetadataProblem {
      return .failure(HoldfastError(.failed, "its key \(problem.key) is missing or of a wrong type"))
    } catch let error as HoldfastError where error.isShortage {
      throw error
    } catch {
      return .failure(error as? HoldfastError ?? HoldfastError(.failed, "\(error)"))
    }
  }

  private func settle(_ name: ArchiveName, _ head: Result<Head, any Error>) throws -> StoredPoint {
    let size = (try? files.status("\(folder)/\(name.text)"))??.size ?? 0
    let header = (try? head.get())?.header
    let usable = header.flatMap { $0.id == name.id ? $0 : nil }
    var point: StoredPoint
    switch try metadata(name.id) {
    case .success(let metadata?):
      point = StoredPoint(name: name, metadata: metadata)
      // That is found out on each listing, and never recorded.
      if point.metadata.status == .unauthenticated { point.metadata.status = .completed }
      if let usable { correct(&point, usable) }
      if metadata.filename != name.text { correctName(&point) }
    case .success(nil):
      point = derive(name, usable, size, why: nil)
    case .failure(let error):
      point = derive(name, usable, size, why: error.message)
      // The file is there with a verdict that this process cannot read: nothing may replace it.
      if error.hidesContent {
        (point.hasUnreadableMetadata, point.needsRewrite) = (true, false)
        // Without a header it was all that tells order and type.
        if usable == nil { point.unreadable = error }
      }
    }
    switch head.map(\.header) {
    case .success(nil) where name.encrypted && (point.metadata.cipher == .aes256GCM || name.content == .pages):
      point.damage(HoldfastError.notAnArchive.message)
    case .success(let header?) where header.id != name.id:
      point.damage("the file contains \(header.id): it was renamed or swapped")
    case .failure(let error):
      point.damage((error as? HoldfastError)?.message ?? "its header cannot be read")
      if let error = error as? HoldfastError, error.hidesContent { point.unreadable = error }
    case .success: break
    }
    return point
  }

  private func correct(_ point: inout StoredPoint, _ header: ArchiveHeader) {
    let wrong = header.contradictions(point.metadata)
    // In any case: some of it is in no JSON.
    header.overwrite(&point.metadata)
    guard !wrong.isEmpty else { return }
    point.problems.append(
      "the metadata contradicts the archive's header, which takes precedence: \(wrong.joined(separator: ", "))")
  }

  private func correctName(_ point: inout StoredPoint) {
    point.problems.append("the metadata names the file \(point.metadata.filename)")
    point.metadata.filename = point.name.text
    point.metadata.compressed = point.name.compressed
    point.metadata.encrypted = point.name.encrypted
    if point.name.encrypted == false { point.metadata.cipher = nil }
  }

  /// Metadata from the archive alone. With a key, the trailer tells sizes and digest too.
  private func derive(_ name: ArchiveName, _ header: ArchiveHeader?, _ size: Int64, why: String?) -> StoredPoint {
    var metadata: PointMetadata
    var isProved = false
    if let header {
      metadata = header.metadata(filename: name.text, archiveSize: size)
      let trailer = trailer(name)
      if let trailer {
        metadata.apply(trailer)
        // Only for what proved itself: it costs a read of the whole file, and a planted one may be huge.
        metadata.checksum = checksum(name)
      }
      isProved = trailer != nil || !header.isSealed && !trust.isSealed
    } else {
      metadata = PointMetadata(id: name.id, filename: name.text, created: name.id.second)
      metadata.compressedSize = size
      metadata.compressed = name.compressed
      metadata.encrypted = name.encrypted
      metadata.cipher = name.encrypted ? .aes256CBC : nil
      metadata.chainID = name.id
    }
    // This host knows what it stored by its checksum, whatever became of the metadata. Whoever reads the archive compares it.
    if header?.isSealed != true { metadata.checksum = trust.acceptedChecksum(of: name.id) }
    let how = header == nil ? "it was derived from the file's name" : "it was derived from the archive's header"
    let problems = why.map { ["the metadata cannot be used (\($0)); \(how)"] } ?? []
    return StoredPoint(name: name, metadata: metadata, problems: problems, needsRewrite: isProved)
  }

  private func trailer(_ name: ArchiveName) -> ArchiveTrailer? {
    guard !credentials.isEmpty, let file = try? files.open("\(folder)/\(name.text)", .readNoFollow) else { return nil }
    defer { files.close(file) }
    // A planted header must not make every listing derive keys: only secrets that cost nothing, or the repository's own.
    guard let head = try? SealedHeader(file, files), head.isCheap(credentials, identity),
      let reader = try? HashingFileReader(file, files)
    else {
      return nil
    }
    return try? GCMSource(reader, file: file, files, head: head, credentials: credentials).trailer
  }

  private func checksum(_ name: ArchiveName) -> String? {
    guard let file = try? files.open("\(folder)/\(name.text)", .readNoFollow) else { return nil }
    defer { files.close(file) }
    return (try? HashingFileReader(file, files).finish())?.hex
  }

  /// A point without proof in a sealed repository, or of another repository, is listed but not trusted.
  private func authenticate(_ point: inout StoredPoint, _ sealed: SealedHeader?) {
    guard !point.isDamaged else { return }
    if let head = sealed {
      guard trust.isForeign(head.header.repositoryID.hex) else { return }
      point.problems.append("it belongs to another repository (\(head.header.repositoryID.hex))")
    } else {
      guard trust.isSealed else { return }
      if let checksum = point.metadata.checksum, trust.accepts(point.id, checksum: checksum) { return }
      point.problems.append("it is not authenticated, and this host did not store it")
    }
    point.metadata.status = .unauthenticated
    point.metadata.verified = false
  }
}

/// A point as it is found in a repository.
package struct StoredPoint: Sendable {
  package var name: ArchiveName
  /// The header's word where there is one, else the JSON's, else what the file itself tells.
  package var metadata: PointMetadata
  /// What is odd about it, in words: metadata that was re-derived, contradictions, a missing file.
  package var problems: [String] = []
  /// Its archive cannot be read now, or is not what its name says. Nothing is removed for that: it may be a disk that
  /// stumbles, a newer program's format, or a file that was renamed.
  package var isDamaged = false
  /// Why this process cannot read it now, which says nothing about it: it may be the newest backup, or the parent of others. So
  /// nothing is chosen or removed as if it were not there.
  package var unreadable: HoldfastError?
  /// Metadata stands without its archive.
  package var archiveMissing = false
  /// Metadata is there and cannot be read, for want of permission or because of the disk: a verdict may be in it. So the
  /// metadata is not written, and no incremental is built on the point.
  package var hasUnreadableMetadata = false
  /// The metadata was made anew and should be stored.
  package var needsRewrite = false
  /// When it passed a drill; nil where it did not, and where nobody asked.
  package var provenAt: Timestamp?

  /// The link of its chain that is at fault, where it cannot be restored for that.
  var brokenLink: BrokenLink?
  /// The same for people: that link's ID and what is wrong with it.
  package var brokenChain: (link: PointID, reason: String)? { brokenLink.map { ($0.id, $0.reason) } }

  /// How many of the problems are its own; the rest is told by its broken chain.
  var ownProblemCount: Int?
  /// What is odd about it apart from its chain.
  package var ownProblems: [String] { Array(problems.prefix(ownProblemCount ?? problems.count)) }

  package var id: PointID { metadata.id }

  /// Its metadata says that it failed, and nothing else does.
  var isAccused: Bool { metadata.status == .failed && !isDamaged && !archiveMissing }

  /// It counts as a backup that was not verified.
  mutating func acquit() {
    guard isAccused else { return }
    (metadata.status, metadata.verified) = (.completed, false)
    metadata.settleAnomaly()
  }

  mutating func damage(_ problem: String) {
    problems.append(problem)
    isDamaged = true
    metadata.status = .failed
  }

  /// Its metadata; where anything is odd about it, under `problems` what; and where it passed a drill, `proven_at`.
  package var json: JSONValue {
    guard !problems.isEmpty || provenAt != nil, case .object(var keys) = metadata.json else { return metadata.json }
    if !problems.isEmpty { keys["problems"] = .array(problems.map { .string($0) }) }
    if let provenAt { keys["proven_at"] = .string(provenAt.iso8601) }
    return .object(keys)
  }

  /// False for a plain or CBC point in a sealed repository that this host does not know.
  package var isAuthenticated: Bool { metadata.status != .unauthenticated }
}

extension Point {
  /// By the metadata alone: whether its clock is in doubt and whether it passed a drill is known from its neighbours and from
  /// the drills.
  init(_ metadata: PointMetadata) {
    self.init(
      id: metadata.id, sequence: metadata.sequence.map { Int64(clamping: $0) }, created: metadata.created,
      type: metadata.backupType, kind: metadata.kind, parent: metadata.parentID, status: metadata.status,
      verified: metadata.verified, pinned: metadata.pinned, tags: metadata.tags, anomaly: metadata.anomalyInWords,
      bytes: metadata.compressedSize, pagesStored: metadata.pagesStored ?? metadata.pageCount ?? 0,
      pageCount: metadata.pageCount, pageSize: metadata.pageSize ?? 0)
    isFlawed = metadata.isFlawed
    isDescribed = metadata.description != nil
  }

  init(_ point: StoredPoint) {
    self.init(point.metadata)
    obstacle = point.obstacle
    isUnreadable = point.unreadable != nil && point.name.content != .raw
  }
}
