import BackupPolicy

/// Reads the archive head and the metadata of one backup, and derives its facts from both.
struct PointLoader {
  let folder: String
  let files: any FileOperations
  let credentials: Credentials
  let trust: RepositoryTrust
  /// The identity that the repository records. With it, the key for its salt is derived only once.
  let identity: RepositoryIdentity?
  /// The pins of the ledger, which override the metadata.
  let pins: [PointID: Bool]

  /// - Parameter names: the archives with this ID. There is more than one only if another file was
  ///   put beside ours.
  /// - Throws: if this process is out of descriptors or memory, which says nothing about the
  ///   backup.
  func load(_ names: [ArchiveName]) throws -> StoredPoint {
    let heads = try names.map { name in (name, try unlessShortage { try head(name) }) }
    let chosen = heads.first { (try? $0.1.get())?.sealed != nil } ?? heads[0]
    var point = try resolve(chosen.0, chosen.1)
    if names.count > 1 {
      let others = names.filter { $0 != chosen.0 }.map(\.text).joined(separator: ", ")
      point.problems.append("another file has the same ID and is ignored: \(others)")
    }
    authenticate(&point, (try? chosen.1.get())?.sealed)
    if let pinned = pins[point.id] { point.metadata.pinned = pinned }
    return point
  }

  /// Returns the backup of metadata whose archive is missing.
  func orphan(_ id: PointID) throws -> StoredPoint? {
    guard case .success(var metadata?) = try metadata(id), let name = ArchiveName(metadata.filename) else { return nil }
    metadata.status = .failed
    if let pinned = pins[id] { metadata.pinned = pinned }
    return StoredPoint(
      name: name, metadata: metadata, problems: ["the archive \(metadata.filename) is missing"], archiveMissing: true)
  }

  /// The beginning of an archive, as far as its form has a header.
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

  /// Returns a failure that concerns the file as a result; throws one that concerns the whole
  /// process.
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
      return .failure(HoldfastError(.failed, "its key \(problem.key) is missing or has a wrong type"))
    } catch let error as HoldfastError where error.isShortage {
      throw error
    } catch {
      return .failure(error as? HoldfastError ?? HoldfastError(.failed, "\(error)"))
    }
  }

  private func resolve(_ name: ArchiveName, _ head: Result<Head, any Error>) throws -> StoredPoint {
    let size = (try? files.status("\(folder)/\(name.text)"))??.size ?? 0
    let header = (try? head.get())?.header
    let usable = header.flatMap { $0.id == name.id ? $0 : nil }
    var point: StoredPoint
    switch try metadata(name.id) {
    case .success(let metadata?):
      point = StoredPoint(name: name, metadata: metadata)
      // Each listing decides about authenticity anew, and the decision is never recorded.
      if point.metadata.status == .unauthenticated { point.metadata.status = .completed }
      if let usable { correct(&point, usable) }
      if metadata.filename != name.text { correctName(&point) }
    case .success(nil):
      point = derive(name, usable, size, why: nil)
    case .failure(let error):
      point = derive(name, usable, size, why: error.message)
      // The file exists with a verdict that this process cannot read, so nothing may replace it.
      if error.hidesContent {
        (point.hasUnreadableMetadata, point.needsRewrite) = (true, false)
        // Without a header, only the metadata recorded the order and the type.
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
    // Always, because some of the header's fields are in no JSON.
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

  /// Returns metadata from the archive alone. With a key, the trailer also gives the sizes and the
  /// digest.
  private func derive(_ name: ArchiveName, _ header: ArchiveHeader?, _ size: Int64, why: String?) -> StoredPoint {
    var metadata: PointMetadata
    var isProved = false
    if let header {
      metadata = header.metadata(filename: name.text, archiveSize: size)
      let trailer = trailer(name)
      if let trailer {
        metadata.apply(trailer)
        // Only for a proven archive: it reads the whole file, and a planted file may be huge.
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
    // This host knows its own archives by their checksums, even if the metadata is lost. Readers
    // compare the checksum with the archive.
    if header?.isSealed != true { metadata.checksum = trust.acceptedChecksum(of: name.id) }
    let how = header == nil ? "it was derived from the file's name" : "it was derived from the archive's header"
    let problems = why.map { ["the metadata cannot be used (\($0)); \(how)"] } ?? []
    return StoredPoint(name: name, metadata: metadata, problems: problems, needsRewrite: isProved)
  }

  private func trailer(_ name: ArchiveName) -> ArchiveTrailer? {
    guard !credentials.isEmpty, let file = try? files.open("\(folder)/\(name.text)", .readNoFollow) else { return nil }
    defer { files.close(file) }
    // A planted header must not make every listing derive keys. So only secrets that cost nothing
    // are tried, or the repository's own.
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

  /// Marks a backup as not trusted if a sealed repository has no proof of it, or if it belongs to
  /// another repository. It is still listed.
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

/// A backup as it is found in a repository.
package struct StoredPoint: Sendable {
  package var name: ArchiveName
  /// The header's values if there is a header, else those of the JSON, else those that the file
  /// itself gives.
  package var metadata: PointMetadata
  /// Messages about irregularities: metadata that was derived again, contradictions, a missing
  /// file.
  package var problems: [String] = []
  /// Whether its archive cannot be read now, or does not match its name. Nothing is removed for
  /// this reason: the disk may have a passing fault, the format may be a newer program's, or the
  /// file may have been renamed.
  package var isDamaged = false
  /// The reason if this process cannot read the backup now; nil if it can. The error says nothing
  /// about the backup, which may be the newest one or the parent of others. So nothing is chosen or
  /// removed as if it did not exist.
  package var unreadable: HoldfastError?
  /// Whether the metadata has no archive.
  package var archiveMissing = false
  /// Whether the metadata exists but cannot be read, for lack of permission or because of the disk.
  /// It may hold a verdict. So the metadata is not written, and no incremental is built on the
  /// backup.
  package var hasUnreadableMetadata = false
  /// Whether the metadata was made anew and should be stored.
  package var needsRewrite = false
  /// The time when it passed a drill; nil if it did not, and if the caller did not ask.
  package var provenAt: Timestamp?

  /// The damaged or missing link of its chain, if the backup cannot be restored because of it.
  var brokenLink: BrokenLink?
  /// The broken link for people: its ID and the reason.
  package var brokenChain: (link: PointID, reason: String)? { brokenLink.map { ($0.id, $0.reason) } }

  /// The number of its own problems. The rest is derived from its broken chain.
  var ownProblemCount: Int?
  /// The problems of the backup itself, without those of its chain.
  package var ownProblems: [String] { Array(problems.prefix(ownProblemCount ?? problems.count)) }

  package var id: PointID { metadata.id }

  /// Whether its metadata records a failure that nothing else confirms.
  var isAccused: Bool { metadata.status == .failed && !isDamaged && !archiveMissing }

  /// Clears a recorded failure: the backup counts as one that was not verified.
  mutating func acquit() {
    guard isAccused else { return }
    (metadata.status, metadata.verified) = (.completed, false)
    metadata.resolveAnomaly()
  }

  mutating func damage(_ problem: String) {
    problems.append(problem)
    isDamaged = true
    metadata.status = .failed
  }

  /// Its metadata. `problems` is added if there are irregularities, and `proven_at` if the backup
  /// passed a drill.
  package var json: JSONValue {
    guard !problems.isEmpty || provenAt != nil, case .object(var keys) = metadata.json else { return metadata.json }
    if !problems.isEmpty { keys["problems"] = .array(problems.map { .string($0) }) }
    if let provenAt { keys["proven_at"] = .string(provenAt.iso8601) }
    return .object(keys)
  }

  /// False for a plain or CBC backup in a sealed repository that this host does not know.
  package var isAuthenticated: Bool { metadata.status != .unauthenticated }
}

extension Point {
  /// Uses the metadata alone. Whether the clock is in doubt depends on the neighbours, and whether
  /// the backup is proven on the drills.
  package init(_ metadata: PointMetadata) {
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
