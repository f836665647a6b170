import BackupPolicy

/// Writes the archive that holds, for each page that any link of a run has, the newest version.
///
/// It stands for the point that the run's newest link stands for: same ID, sequence, time, digest and page count. What differs
/// is the parent (the oldest link's) and the pages. Memory is one bit a page and the list of pages; the pages themselves wait
/// in a scratch file, each at its place.
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
  /// - Returns: the point's metadata as it is with this archive.
  /// - Throws: ``ChainFailure`` with the link that cannot be read; `wrongKey`, `keyMissing`, `interrupted`, `noSpace`, and
  ///   `verificationFailed` where what was written is not what was read.
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
    throw HoldfastError(.archiveCorrupt, "its checksum is \(checksum.hex), \(recorded) is recorded")
  }

  private func describe(_ written: (size: Int64, checksum: [UInt8]), pagesStored: Int) -> PointMetadata {
    var metadata = survivor.metadata
    metadata.parentID = oldest.metadata.parentID
    metadata.pagesStored = UInt32(pagesStored)
    metadata.compressedSize = written.size
    metadata.checksum = written.checksum.hex
    // What was verified was another file. Nothing about it is odd, or ``CompactionRun`` had refused it.
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

  /// The head as the survivor's own archive has it, but for the parent. An encrypted one keeps its key slots, so that it opens
  /// with what it opened with before.
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
      throw HoldfastError(.archiveCorrupt, "it does not begin as an aes-256-gcm archive: it is damaged or was replaced")
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

  /// Reads the new archive back: it must hold these pages, each as it was read from the run's links, and lead from the parent's
  /// digest to the point's own.
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
        .verificationFailed, "the merged archive of \(survivor.id) is not what was written",
        hint: "nothing was replaced; check the disk and the memory of this machine")
    }
  }
}

/// From a file that has each page at its place in the image, with holes between.
private struct ScatteredPages: ChangedPageSource {
  let file: OpenFile
  let files: any FileOperations
  let pageSize: Int

  func read(_ pages: ArraySlice<UInt32>, into buffer: UnsafeMutableRawBufferPointer) throws {
    var done = 0
    for run in PageRuns(pages, limit: .max) {
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<(done + run.count * pageSize)])
      guard try files.read(file, into: part, at: Int64(run.lowerBound - 1) * Int64(pageSize)) == part.count else {
        throw HoldfastError(.failed, "the staged copy \(file.path) is shorter than it was")
      }
      done += part.count
    }
  }
}
