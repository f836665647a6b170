import BackupPolicy

/// Executes the steps of a ``CompactionPlan``.
///
/// The merged archive is made and proven without the exclusive lock, under a temporary name. Then,
/// under the lock: the survivor's metadata is removed (it names the old file's checksum; without it
/// everything is derived from the archive), the archive is renamed *over* the old one, the folder
/// is flushed, and the metadata is written anew. Only then are the other backups removed, the
/// newest first. So each name has one file at any moment, and both the old and the new one restore
/// to the same bytes. A crash leaves at most a branch that no backup needs, which the next
/// compaction removes.
struct Compactor {
  let repository: Repository
  let environment: EngineEnvironment
  let level: CompressionLevel
  let progress: Progress
  /// The parents of all backups from which the plan was made.
  let known: [PointID: PointID?]
  /// Runs its argument under the repository's exclusive lock. The caller passes the IDs that it
  /// will change.
  let exclusively: (_ touched: Set<PointID>, _ body: () throws -> Void) throws -> Void

  /// After this number of removals, each of which is flushed, other processes get the lock.
  private static let batch = 16

  private var files: any FileOperations { environment.files }

  /// - Returns: bytes of the merged archive; 0 if nothing is left.
  /// - Throws: `factsChanged` if the backups differ from the plan; ``ChainFailure`` and
  ///   `verificationFailed` if one cannot be read or the merged archive is not right. In these
  ///   cases nothing is removed.
  func run(_ step: CompactionStep) throws -> Int64 {
    try progress.check()
    let (run, open) = try repository.shared(patience: environment.repositoryPatience, progress: progress) {
      let run = try CompactionRun(step, known: known, in: repository)
      let chain = PointChain(links: run.links.map(\.point))
      return (run, step.survivor == nil ? nil : try OpenChain(chain, in: repository, isLocked: true))
    }
    let bytes = try open.map { try merge(run, $0) } ?? 0
    try remove(run)
    return bytes
  }

  private func merge(_ run: CompactionRun, _ open: OpenChain) throws -> Int64 {
    let merged = MergedArchive(
      open: open, files: files, credentials: repository.credentials, level: level, progress: progress)
    return try Leftovers.using(makeFile(open.chain.point.id), files) { file in
      let metadata = try repository.scratch().withFile(.stage) { try merged.write(to: file, scratch: $0) }
      try exclusively([metadata.id]) {
        try run.requireUnchanged(run.links)
        try swap(file, metadata)
      }
      return metadata.compressedSize
    }
  }

  /// Also under the lock: otherwise the host would see a change of the folder that it does not
  /// know, and read the repository again.
  private func makeFile(_ id: PointID) throws -> OpenFile {
    var made: OpenFile?
    try exclusively([]) { made = try Leftovers.make(repository.path(".tmp-\(id)"), files) }
    guard let made else { throw HoldfastError(.failed, "no temporary file was created in \(repository.folder)") }
    return made
  }

  private func swap(_ file: OpenFile, _ metadata: PointMetadata) throws {
    if !metadata.encrypted { try repository.rememberTrust(metadata, [], sealed: nil) }
    try files.unlink(repository.metadataPath(metadata.id))
    try files.syncFolder(repository.path(".metadata"))
    try files.rename(file.path, to: repository.path(metadata.filename))
    try files.syncFolder(repository.folder)
    do {
      try repository.write(metadata, durable: false)
    } catch {
      environment.logger.warning("the metadata of \(metadata.id) was not stored; it will be derived: \(error)")
    }
  }

  /// Removes the newest first: a backup never outlives its parent.
  private func remove(_ run: CompactionRun) throws {
    var rest = run.removed
    while !rest.isEmpty {
      let part = rest.prefix(Self.batch)
      try exclusively(Set(part.map(\.point.id))) {
        try run.requireUnchanged(part)
        for link in part { try files.unlink(repository.metadataPath(link.point.id)) }
        try files.syncFolder(repository.path(".metadata"))
        for link in part {
          try files.unlink(repository.path(link.point.name.text))
          // If the power is lost, any of the unflushed removals may survive.
          try files.syncFolder(repository.folder)
        }
      }
      rest = rest.dropFirst(part.count)
    }
  }
}

/// A backup with the status of its files, to detect later whether they changed.
struct CompactionLink {
  var point: StoredPoint
  var archive: FileStatus
  /// The status of the metadata: meanwhile a verification may record a problem.
  var record: FileStatus?
}

/// The backups of one step in their present state.
///
/// A step is prepared without the exclusive lock. So everything is checked again under it: whether
/// the files are still the same, and whether a new backup was built on one that is about to be
/// removed.
struct CompactionRun {
  let step: CompactionStep
  /// The newest first; the survivor, if there is one, before the removed backups.
  let links: [CompactionLink]
  private let repository: Repository
  /// The parents of all backups from which the plan was made.
  private let known: [PointID: PointID?]

  var removed: ArraySlice<CompactionLink> { step.survivor == nil ? links[...] : links.dropFirst() }

  /// Needs a lock, shared or exclusive.
  ///
  /// - Throws: `factsChanged` if the backups differ from those of the plan.
  init(_ step: CompactionStep, known: [PointID: PointID?], in repository: Repository) throws {
    self.step = step
    self.known = known
    self.repository = repository
    let index = try repository.index()
    links = try (step.removed + [step.survivor].compactMap { $0 }).reversed().map { id in
      guard let point = try index.point(id), index.names[id]?.count == 1, point.isIncremental, !point.isDamaged,
        !point.metadata.pinned,
        point.metadata.status == .completed || point.metadata.status == .verified,
        point.metadata.parentID == known[id],
        let archive = try repository.files.status(repository.path(point.name.text))
      else { throw Self.changed(id) }
      return CompactionLink(
        point: point, archive: archive, record: try repository.files.status(repository.metadataPath(id)))
    }
    guard step.survivor != nil else { return }
    for (child, parent) in zip(links, links.dropFirst()) {
      guard (try? ChainWalk.parent(of: child.point, parent.point)) != nil,
        child.point.metadata.parentID == parent.point.id
      else { throw Self.changed(parent.point.id) }
    }
  }

  /// Needs the exclusive lock.
  ///
  /// - Throws: `factsChanged`.
  func requireUnchanged(_ some: some Sequence<CompactionLink>) throws {
    for link in some {
      guard try repository.files.status(repository.path(link.point.name.text)) == link.archive,
        try repository.files.status(repository.metadataPath(link.point.id)) == link.record
      else {
        throw Self.changed(link.point.id)
      }
    }
    let going = Set(step.removed)
    let own = going.union([step.survivor].compactMap { $0 })
    let index = try repository.index()
    let pins = try repository.pins.read()
    if let pinned = own.first(where: { pins[$0] == true }) { throw Self.changed(pinned) }
    for id in index.names.keys where !own.contains(id) {
      guard let parent = try known[id] ?? index.point(id)?.metadata.parentID, going.contains(parent) else { continue }
      throw HoldfastError(
        .factsChanged, "cannot remove \(parent): \(id) was created from it meanwhile", hint: "run the command again")
    }
  }

  private static func changed(_ id: PointID) -> HoldfastError {
    HoldfastError(.factsChanged, "\(id) has changed since the compaction was planned", hint: "run the command again")
  }
}

/// Writes the archive that holds the newest version of each page in any link of a run.
///
/// It replaces the archive of the run's newest link: same ID, sequence, time, digest and page
/// count. Only the parent (the oldest link's) and the pages differ. Memory is one bit a page and
/// the list of pages. The pages themselves are in a scratch file, each at its place.
struct MergedArchive {
  let open: OpenChain
  let files: any FileOperations
  let credentials: Credentials
  let level: CompressionLevel
  let progress: Progress

  /// The run's newest link.
  private var survivor: StoredPoint { open.chain.point }
  private var oldest: StoredPoint { open.chain.full }

  /// Writes, flushes and proves.
  ///
  /// - Parameters:
  ///   - file: an empty file in the repository's folder.
  ///   - scratch: an empty file for the pages.
  /// - Returns: the backup's metadata for this archive.
  /// - Throws: ``ChainFailure`` with the link that cannot be read; `wrongKey`, `keyMissing`,
  ///   `interrupted`, `noSpace`, and `verificationFailed` if the written content differs from the
  ///   content that was read.
  func write(to file: OpenFile, scratch: OpenFile) throws -> PointMetadata {
    let images = try open.provenImages(credentials)
    let gathered = PageAssembly(FileTarget(file: scratch, files: files), images[0])
    for (link, source) in zip(open.chain.links, open.files) {
      try ChainFailure.blaming(link.id) { try read(link, source, to: gathered) }
    }
    let pages = gathered.pages
    var image = images[0]
    image.parentDigest = images[images.count - 1].parentDigest
    let written = try write(pages, image, to: file, from: scratch)
    try files.sync(file)
    try prove(file, image, checksum: written.checksum, holds: gathered, pages)
    return describe(written, pagesStored: pages.count)
  }

  private func read(_ link: StoredPoint, _ file: OpenFile, to target: PageAssembly) throws {
    let reader = try ArchiveReader(file, name: link.name, credentials: credentials, progress: progress, files)
    let checksum = try reader.readPages { try target.add($0, $1) }
    guard reader.head == nil, let recorded = link.metadata.checksum, recorded != checksum.hex
    else { return }
    throw HoldfastError(.archiveCorrupt, "its checksum is \(checksum.hex), but \(recorded) is recorded")
  }

  private func describe(_ written: (size: Int64, checksum: [UInt8]), pagesStored: Int) -> PointMetadata {
    var metadata = survivor.metadata
    metadata.parentID = oldest.metadata.parentID
    metadata.pagesStored = UInt32(pagesStored)
    metadata.compressedSize = written.size
    metadata.checksum = written.checksum.hex
    // The verification was of another file. The backup has no problems, because ``CompactionRun``
    // would have refused it.
    metadata.status = .completed
    metadata.verified = false
    metadata.verificationDate = nil
    metadata.verificationErrors = []
    return metadata
  }
}

extension MergedArchive {
  private func write(
    _ pages: [UInt32], _ image: LinkImage, to file: OpenFile, from scratch: OpenFile
  ) throws -> (size: Int64, checksum: [UInt8]) {
    let output = try HashingFileWriter(file, files)
    let (sink, plainHead) = try begin(output, image, pagesStored: pages.count)
    let source = ScatteredPages(file: scratch, files: files, pageSize: image.pageSize)
    let writer = PagesWriter(
      plainHead: plainHead, pages: pages, source, level: survivor.name.compressed ? level : nil, progress: progress)
    return try writer.write(to: sink, file: output) { order in
      ArchiveTrailer(
        imageSize: UInt64(image.pageSize) * UInt64(image.pageCount), payloadSize: order.written,
        pageCount: image.pageCount, digest: image.digest ?? [], digestKey: image.digestKey,
        memberStride: order.index.stride, memberOffsets: order.index.offsets, tableCounts: nil,
        pagesStored: UInt32(pages.count))
    }
  }

  /// Begins with the head of the survivor's own archive, except for the parent. An encrypted
  /// archive keeps its key slots, so that it opens with the same secrets as before.
  private func begin(
    _ output: HashingFileWriter, _ image: LinkImage, pagesStored: Int
  ) throws -> (any PayloadSink, plainHead: [UInt8]) {
    guard survivor.name.encrypted else {
      var header = try PlainHead.read(open.files[0], compressed: survivor.name.compressed, files)
      rebase(&header, image)
      header.setImage(pageCount: image.pageCount, pagesStored: UInt32(pagesStored), digest: image.digest ?? [])
      return (PlainSink(output), try PlainHead.encode(header))
    }
    guard let head = try SealedHeader(open.files[0], files) else {
      throw HoldfastError.notAnArchive
    }
    var header = head.header
    rebase(&header, image)
    // The payload key is derived from these bytes, and no key may ever seal two payloads.
    header.fields[ArchiveHeader.Tag.unique.rawValue] = try SecretBytes.random(16)
    let fileKey = try head.openFileKey(credentials)
    let merged = try SealedHeader(header, fileKey: fileKey, slots: head.slots)
    try output.write(merged.encoded)
    return (try GCMSink(output, payloadKey: merged.payloadKey(fileKey)), [])
  }

  private func rebase(_ header: inout ArchiveHeader, _ image: LinkImage) {
    header.parentID = oldest.metadata.parentID
    header.parentDigest = image.parentDigest
  }

  /// Reads the new archive back. It must hold these pages, each as it was read from the run's
  /// links, and lead from the parent's digest to the backup's own.
  private func prove(
    _ file: OpenFile, _ image: LinkImage, checksum: [UInt8], holds gathered: PageAssembly, _ pages: [UInt32]
  ) throws {
    let found = PageAssembly(NoTarget(), image)
    let reader = try ArchiveReader(
      file, name: survivor.name, credentials: credentials, progress: progress, files)
    let read = try reader.readPages { try found.add($0, $1) }
    let now = try LinkImage(survivor, file, credentials: credentials, files)
    guard read == checksum, found.pages == pages, found.pageSum == gathered.pageSum, now.isSame(as: image) else {
      throw HoldfastError(
        .verificationFailed, "the merged archive of \(survivor.id) differs from the written data",
        hint: "nothing was replaced; check this machine's disk and memory")
    }
  }
}

/// Reads a file that has each page at its place in the image, with holes between.
private struct ScatteredPages: ChangedPageSource {
  let file: OpenFile
  let files: any FileOperations
  let pageSize: Int

  func read(_ pages: ArraySlice<UInt32>, into buffer: UnsafeMutableRawBufferPointer) throws {
    var done = 0
    for run in PageRuns(pages, limit: .max) {
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<(done + run.count * pageSize)])
      guard try files.read(file, into: part, at: Int64(run.lowerBound - 1) * Int64(pageSize)) == part.count else {
        throw HoldfastError.truncated("the staged copy \(file.path)")
      }
      done += part.count
    }
  }
}
