import BackupPolicy

/// Reads the image of any backup of a chain in one pass that writes each page once: from the newest
/// link back, skipping the pages that a newer link had. Memory is one bit a page.
struct ChainReader {
  let open: OpenChain
  let files: any FileOperations
  let credentials: Credentials
  let progress: Progress

  /// The facts that reading a link proved: the SHA-256 of its file, and whether its content is
  /// authenticated.
  struct Link: Sendable {
    var point: StoredPoint
    var checksum: [UInt8]
    var isAuthenticated: Bool
  }

  /// - Returns: the newest link's archive with the image's size and digest, and every link's
  ///   checksum.
  /// - Throws: ``ChainFailure`` with the broken link; `wrongKey`, `keyMissing`, `interrupted` and
  ///   failures of the machine.
  func read(to target: some ImageTarget) throws -> (archive: ReadArchive, links: [Link]) {
    guard open.chain.links.count > 1 else {
      let archive = try ChainFailure.blaming(open.chain.full.id) { try readFull(to: target) }
      return (archive, [Link(open.chain.full, archive)])
    }
    let images = try open.provenImages(credentials)
    let image = images[0]
    let assembly = PageAssembly(target, image)
    var links: [Link] = []
    for (link, file) in zip(open.chain.links.dropLast(), open.files) {
      links.append(try ChainFailure.blaming(link.id) { try readPages(link, file, to: assembly) })
    }
    let full = try ChainFailure.blaming(open.chain.full.id) { try readFull(to: assembly) }
    links.append(Link(open.chain.full, full))
    let digest = try ChainFailure.blaming(open.chain.point.id) { try assembly.finish() }
    return (
      ReadArchive(
        checksum: links[0].checksum, imageSize: Int64(image.pageSize) * Int64(image.pageCount),
        pageSize: image.pageSize, digest: digest, isAuthenticated: links[0].isAuthenticated), links
    )
  }

  private func readPages(_ link: StoredPoint, _ file: OpenFile, to assembly: PageAssembly) throws -> Link {
    let reader = try ArchiveReader(file, name: link.name, credentials: credentials, progress: progress, files)
    let checksum = try reader.readPages { pages, bytes in try assembly.add(pages, bytes) }
    return Link(point: link, checksum: checksum, isAuthenticated: reader.head != nil)
  }

  private func readFull(to target: some ImageTarget) throws -> ReadArchive {
    try PointReader(point: open.chain.full, files: files, credentials: credentials, progress: progress)
      .read(open.files[open.files.count - 1], to: target)
  }
}

extension ChainReader.Link {
  init(_ point: StoredPoint, _ archive: ReadArchive) {
    self.init(point: point, checksum: archive.checksum, isAuthenticated: archive.isAuthenticated)
  }
}

/// Joins the pages of a chain: bounds, bitmap, digest, target. Safe from several threads.
final class PageAssembly: ImageTarget {
  private let target: any ImageTarget
  private let image: LinkImage
  private let bitmap: PageBitmap
  private let sum = SharedDigest()
  private let lockPage: UInt32

  init(_ target: any ImageTarget, _ image: LinkImage) {
    self.target = target
    self.image = image
    bitmap = PageBitmap(pageCount: image.pageCount)
    lockPage = PageShape.lockPage(pageSize: image.pageSize)
  }

  /// The joined pages, ascending.
  var pages: [UInt32] { bitmap.pages }
  /// The XOR of their hashes.
  var pageSum: PageDigest { sum.value }

  /// Writes a piece of the full's image: whole pages, as ``ImageAssembly`` cuts them.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    let first = UInt32(clamping: offset / Int64(image.pageSize) + 1)
    let count = UInt32(bytes.count / image.pageSize)
    let (end, overflow) = first.addingReportingOverflow(count)
    guard !overflow else { return }
    try add(Array(first..<end)[...], bytes)
  }

  /// Adds pages that follow one another in `bytes`.
  func add(_ pages: ArraySlice<UInt32>, _ bytes: UnsafeRawBufferPointer) throws {
    let new = bitmap.claim(pages)
    var next = pages.startIndex
    var part = PageDigest()
    for run in PageRuns(new[...], limit: .max) {
      // `new` is in the order of `pages`; neighbours there are neighbours in memory.
      while pages[next] != run.lowerBound { next += 1 }
      let start = (next - pages.startIndex) * image.pageSize
      let run = UnsafeRawBufferPointer(rebasing: bytes[start..<(start + run.count * image.pageSize)])
      try target.write(run, at: Int64(pages[next] - 1) * Int64(image.pageSize))
      part.add(run, first: pages[next], pageSize: image.pageSize, lockPage: lockPage, secret: image.secret)
    }
    sum.add(part)
  }

  /// - Returns: the digest of the image.
  /// - Throws: `archiveCorrupt` if a page is in no link, `verificationFailed` if the digest
  ///   differs.
  func finish() throws -> [UInt8] {
    if lockPage <= image.pageCount, !bitmap.claim([lockPage]).isEmpty, lockPage == image.pageCount {
      try [UInt8](repeating: 0, count: image.pageSize).withUnsafeBytes {
        try target.write($0, at: Int64(lockPage - 1) * Int64(image.pageSize))
      }
    }
    guard bitmap.count == image.pageCount else {
      throw HoldfastError(
        .archiveCorrupt, "\(image.pageCount - bitmap.count) of its pages are missing from the archives of its chain")
    }
    let digest = sum.value.finished(pageSize: image.pageSize, pageCount: image.pageCount)
    guard digest == image.digest else { throw DigestMismatch.error }
    return digest
  }
}

/// The pages of an image that were written; safe from several threads.
final class PageBitmap: Sendable {
  private let monitor = Monitor()
  // Guarded by `monitor`.
  private nonisolated(unsafe) var words: [UInt64]
  private nonisolated(unsafe) var marked: UInt32 = 0
  let pageCount: UInt32

  init(pageCount: UInt32) {
    self.pageCount = pageCount
    words = [UInt64](repeating: 0, count: Int((UInt64(pageCount) + 63) / 64))
  }

  var count: UInt32 { monitor.locked { marked } }

  /// The marked pages, ascending.
  var pages: [UInt32] {
    monitor.locked {
      var pages: [UInt32] = []
      pages.reserveCapacity(Int(marked))
      for (index, word) in words.enumerated() {
        var rest = word
        while rest != 0 {
          pages.append(UInt32(index * 64 + rest.trailingZeroBitCount) + 1)
          rest &= rest - 1
        }
      }
      return pages
    }
  }

  /// Marks pages; returns those that are in the image and were not marked before, in the given
  /// order.
  func claim(_ pages: some Sequence<UInt32>) -> [UInt32] {
    monitor.locked {
      pages.filter { page in
        guard page >= 1, page <= pageCount else { return false }
        let (word, bit) = (Int((page - 1) / 64), UInt64(1) << UInt64((page - 1) % 64))
        guard words[word] & bit == 0 else { return false }
        words[word] |= bit
        marked += 1
        return true
      }
    }
  }
}
