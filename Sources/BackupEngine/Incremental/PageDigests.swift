import BackupPolicy

/// The hash of every page of one point's image, in `.state/page-digests`: what the next incremental compares with.
///
/// It is read where it is needed and never loaded. (Mapping it would let whoever truncates the file kill this process.) A
/// memo of what the archives hold: used only where it names the point that is asked for and its XOR is that point's digest,
/// and made anew otherwise. Used by one thread at a time, under the repository's exclusive lock.
final class PageDigests {
  static let name = ".state/page-digests"

  private(set) var header: PageDigestsHeader
  private let file: OpenFile
  private let files: any FileOperations

  /// Opens the table where it is of this very state, and proves it once: its XOR must be the digest.
  ///
  /// - Returns: nil where there is none, or it is of another state, damaged, or was being changed when something stopped.
  static func open(_ wanted: PageDigestsHeader, in repository: Repository) throws -> PageDigests? {
    let files = repository.files
    let path = repository.path(name)
    guard try files.status(path)?.kind == .regular, let file = try? files.open(path, .update) else { return nil }
    let table = PageDigests(wanted, file, files)
    guard (try? table.storedHeader()) == wanted, (try? table.sum()) == wanted.digest else { return nil }
    return table
  }

  private init(_ header: PageDigestsHeader, _ file: OpenFile, _ files: any FileOperations) {
    self.header = header
    self.file = file
    self.files = files
  }

  deinit { files.close(file) }

  private func storedHeader() throws -> PageDigestsHeader? {
    PageDigestsHeader(
      try [UInt8](unsafeUninitializedCapacity: 256) { buffer, done in
        done = try files.read(file, into: UnsafeMutableRawBufferPointer(buffer), at: 0)
      })
  }

  /// The digest that the table adds up to.
  private func sum() throws -> [UInt8] {
    var digest = PageDigest()
    try each(1...max(1, header.pageCount)) { digest.toggle($1) }
    return digest.finished(pageSize: header.pageSize, pageCount: header.pageCount)
  }

  /// The hashes of some pages; ones beyond the page count have none.
  func each(_ pages: ClosedRange<UInt32>, _ body: (UInt32, PageHash) throws -> Void) throws {
    let room = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(pages.count, 4096) * PageHash.size, alignment: PageHash.size)
    defer { room.deallocate() }
    var first = pages.lowerBound
    while first <= min(pages.upperBound, header.pageCount) {
      let count = min(room.count / PageHash.size, Int(min(pages.upperBound, header.pageCount) - first) + 1)
      let part = UnsafeMutableRawBufferPointer(rebasing: room[..<(count * PageHash.size)])
      guard try files.read(file, into: part, at: PageDigestsHeader.offset(of: first)) == part.count else {
        throw HoldfastError(.failed, "\(file.path) is shorter than it was")
      }
      for index in 0..<count { try body(first + UInt32(index), PageHash(UnsafeRawBufferPointer(part), at: index)) }
      first += UInt32(count)
    }
  }

  /// Takes the hashes of a point's changed pages over; called only when its archive and the folder are flushed.
  ///
  /// The header goes last: where something stops in between, it names a point whose digest the table no longer adds up to.
  func update(to header: PageDigestsHeader, _ pages: [UInt32], _ hashes: [PageHash]) throws {
    var done = 0
    for run in PageRuns(pages[...], limit: 4096) {
      let table = hashes[done..<(done + run.count)].flatMap(\.bytes)
      try table.withUnsafeBytes { try files.write(file, $0, at: PageDigestsHeader.offset(of: run.lowerBound)) }
      done += run.count
    }
    try clearLockPage(from: self.header, to: header)
    try header.encoded().withUnsafeBytes { try files.write(file, $0, at: 0) }
    self.header = header
  }

  /// The database grew beyond the lock page, which no incremental holds and which has no hash.
  private func clearLockPage(from old: PageDigestsHeader, to new: PageDigestsHeader) throws {
    let lockPage = PageShape.lockPage(pageSize: new.pageSize)
    guard old.pageCount < lockPage, new.pageCount >= lockPage else { return }
    try PageHash.none.bytes.withUnsafeBytes { try files.write(file, $0, at: PageDigestsHeader.offset(of: lockPage)) }
  }
}
