import BackupPolicy

/// The hash of every page of one backup's image, in `.state/page-digests`. The next incremental
/// compares its pages with them.
///
/// The table is read in parts and never loaded as a whole. (If it were mapped, truncating the file
/// could kill this process.) It is a memo of the archives: it is used only if it names the wanted
/// backup and its XOR is that backup's digest, and made anew otherwise. Used by one thread at a
/// time, under the repository's exclusive lock.
final class PageDigests {
  static let name = ".state/page-digests"

  private(set) var header: PageDigestsHeader
  private let file: OpenFile
  private let files: any FileOperations

  /// Opens the table if it belongs to this very state, and proves it once: its XOR must be the
  /// digest.
  ///
  /// - Returns: nil if there is no table, or if it belongs to another state, is damaged, or was
  ///   being changed during a crash.
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

  /// The digest that results from the table's hashes.
  private func sum() throws -> [UInt8] {
    var digest = PageDigest()
    try each(1...max(1, header.pageCount)) { digest.toggle($1) }
    return digest.finished(pageSize: header.pageSize, pageCount: header.pageCount)
  }

  /// Calls `body` with the hashes of some pages; pages beyond the page count have no hash.
  func each(_ pages: ClosedRange<UInt32>, _ body: (UInt32, PageHash) throws -> Void) throws {
    let room = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(pages.count, 4096) * PageHash.size, alignment: PageHash.size)
    defer { room.deallocate() }
    var first = pages.lowerBound
    while first <= min(pages.upperBound, header.pageCount) {
      let count = min(room.count / PageHash.size, Int(min(pages.upperBound, header.pageCount) - first) + 1)
      let part = UnsafeMutableRawBufferPointer(rebasing: room[..<(count * PageHash.size)])
      guard try files.read(file, into: part, at: PageDigestsHeader.offset(of: first)) == part.count else {
        throw HoldfastError.truncated(file.path)
      }
      for index in 0..<count { try body(first + UInt32(index), PageHash(UnsafeRawBufferPointer(part), at: index)) }
      first += UInt32(count)
    }
  }

  /// Stores the hashes of a backup's changed pages. Called only after its archive and the folder
  /// are flushed.
  ///
  /// The header is written last. If the process stops in between, the old header remains, and the
  /// table no longer adds up to its digest.
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

/// The backup to which a table of page hashes belongs, and its shape.
struct PageDigestsHeader: Hashable, Sendable {
  static let magic: [UInt8] = [0x89, 0x48, 0x46, 0x44, 0x0d, 0x0a, 0x1a, 0x0a]
  static let version: UInt32 = 1
  /// The offset of the table.
  static let size = 4096

  var point: PointID
  /// The backup's digest: the XOR of the table, with page size and count mixed in.
  var digest: [UInt8]
  var pageSize: Int
  var pageCount: UInt32

  func encoded() -> [UInt8] {
    var writer = ByteWriter()
    writer.raw(Self.magic)
    writer.integer(Self.version)
    writer.integer(UInt32(pageSize))
    writer.integer(pageCount)
    writer.raw(digest)
    writer.shortText(point.text)
    writer.integer(writer.bytes.withUnsafeBytes { GzipMember.crc($0) })
    return writer.bytes
  }

  /// Nil unless the bytes are a whole header of this version.
  init?(_ bytes: [UInt8]) {
    var reader = ByteReader(bytes)
    guard reader.raw(8) == Self.magic, reader.integer(UInt32.self) == Self.version,
      let pageSize = reader.integer(UInt32.self), let pageCount = reader.integer(UInt32.self),
      let digest = reader.raw(16), let point = reader.shortText().flatMap({ PointID($0) })
    else { return nil }
    let end = reader.position
    guard reader.integer(UInt32.self) == bytes.prefix(end).withContiguousStorage({ GzipMember.crc($0) }),
      ArchiveHeader.isPageSize(pageSize), pageSize > 0
    else { return nil }
    self.init(point: point, digest: digest, pageSize: Int(pageSize), pageCount: pageCount)
  }

  init(point: PointID, digest: [UInt8], pageSize: Int, pageCount: UInt32) {
    self.point = point
    self.digest = digest
    self.pageSize = pageSize
    self.pageCount = pageCount
  }

  static func offset(of page: UInt32) -> Int64 { Int64(size) + Int64(page - 1) * Int64(PageHash.size) }
}

extension Sequence<UInt8> {
  fileprivate func withContiguousStorage<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    Array(self).withUnsafeBytes(body)
  }
}

/// Makes a new table of page hashes while the pages of an image pass by; safe from several threads.
///
/// The table is a memo, so no failure of it fails the caller: after a failed write there is no
/// table.
final class PageDigestsWriter: Sendable {
  private let file: OpenFile
  private let files: any FileOperations
  private let pageSize: Int
  private let failure = FirstError()

  /// Begins a table under a temporary name in `.state`.
  init(in repository: Repository, pageSize: Int) throws {
    files = repository.files
    file = try Leftovers.make(repository.path(".state/\(Leftovers.digestsPrefix)"), files)
    self.pageSize = pageSize
  }

  deinit { files.close(file) }

  /// Writes the hashes of neighbouring pages: their canonical forms one after another.
  func add(_ hashes: UnsafeRawBufferPointer, first: UInt32) {
    failure.catching { try files.write(file, hashes, at: PageDigestsHeader.offset(of: first)) }
  }

  /// Reads hashes back that were added.
  func hashes(from first: UInt32, count: Int) throws -> [PageHash] {
    try failure.rethrow()
    var bytes = [UInt8](repeating: 0, count: count * PageHash.size)
    return try bytes.withUnsafeMutableBytes { room in
      guard try files.read(file, into: room, at: PageDigestsHeader.offset(of: first)) == room.count else {
        throw HoldfastError.truncated(file.path)
      }
      return (0..<count).map { PageHash(UnsafeRawBufferPointer(room), at: $0) }
    }
  }

  /// Puts the table in place. Its backup must be stored and flushed. Throws if the table could not
  /// be made.
  func commit(_ header: PageDigestsHeader, in repository: Repository) throws {
    try failure.rethrow()
    try header.encoded().withUnsafeBytes { try files.write(file, $0, at: 0) }
    try files.rename(file.path, to: repository.path(PageDigests.name))
  }

  func discard() {
    try? files.unlink(file.path)
  }
}

extension PageDigestsWriter {
  /// Hashes neighbouring pages into the table.
  ///
  /// - Returns: their part of the digest.
  func add(_ pages: UnsafeRawBufferPointer, first: UInt32, secret: PageDigest.Secret) -> PageDigest {
    var part = PageDigest()
    let lockPage = PageShape.lockPage(pageSize: pageSize)
    withUnsafeTemporaryAllocation(byteCount: pages.count / pageSize * PageHash.size, alignment: 16) { table in
      // The lock page's entry stays zero.
      table.initializeMemory(as: UInt8.self, repeating: 0)
      PageHash.each(of: pages, first: first, pageSize: pageSize, lockPage: lockPage, secret: secret) { index, hash in
        part.toggle(hash)
        hash.store(in: table, at: index)
      }
      add(UnsafeRawBufferPointer(table), first: first)
    }
    return part
  }
}

/// Makes the table of page hashes anew from a backup's chain: its image is read page by page, and
/// no image is written.
struct PageDigestsRebuild {
  let repository: Repository
  let environment: EngineEnvironment
  let progress: Progress

  /// Needs the exclusive lock.
  ///
  /// - Throws: ``ChainFailure`` if the chain does not add up to its digest.
  func run(_ head: ChainHead) throws {
    let writer = try PageDigestsWriter(in: repository, pageSize: head.state.pageSize)
    defer { writer.discard() }
    guard let point = try repository.stored(head.id) else {
      throw HoldfastError(.factsChanged, "\(head.id) was removed by another process", hint: "run the command again")
    }
    let open = try OpenChain(repository.chain(of: point), in: repository, isLocked: true)
    let target = HashTarget(writer: writer, pageSize: head.state.pageSize, secret: head.secret)
    _ = try ChainReader(
      open: open, files: environment.files, credentials: repository.credentials, progress: progress
    ).read(to: target)
    try writer.commit(head.state, in: repository)
  }
}

/// Receives the pages of an image only to hash them.
private struct HashTarget: ImageTarget {
  let writer: PageDigestsWriter
  let pageSize: Int
  let secret: PageDigest.Secret

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    _ = writer.add(bytes, first: UInt32(offset / Int64(pageSize)) + 1, secret: secret)
  }
}
