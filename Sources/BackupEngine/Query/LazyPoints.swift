import BackupPolicy
import SQLitePages

/// Two backups of one chain as pages that are read on demand, and the pages that differ between
/// them.
///
/// The headers and trailers of all links are verified to form one chain, and every byte that is
/// read is authenticated; the rest is not verified. Only for chains that are encrypted with
/// `aes-256-gcm` and have few pages in their incrementals.
final class LazyPoints {
  let before: LazyPoint
  let after: LazyPoint
  /// Every page that may differ, and every page that only one of them has.
  let changed: [UInt32]

  /// The largest permitted size, in bytes, of all incrementals' pages, which are kept in memory,
  /// and of the pages that differ.
  private static let mostBytes = 128 << 20

  /// - Returns: nil if the backups are not in one chain, or if too many pages differ for this to be
  ///   quicker.
  /// - Throws: the errors of reading archives.
  init?(_ left: StoredPoint, _ right: StoredPoint, in repository: Repository, _ progress: Progress) throws {
    let pair = [left, right]
    guard !pair.contains(where: \.archiveMissing) else { return nil }
    let chains = try repository.reportingRemoval(of: pair) { try pair.map { try repository.chain(of: $0) } }
    guard chains[0].full.id == chains[1].full.id, Self.isReadable(chains), Self.areOfOneMoment(chains) else {
      return nil
    }
    let open = try repository.reportingRemoval(of: pair) {
      try chains.map { try OpenChain($0, in: repository, progress: progress) }
    }
    let images = try open.map { try $0.provenImages(repository.credentials) }
    guard images[0].last?.digestKey == images[1].last?.digestKey, images[0].last?.digest == images[1].last?.digest,
      images[0][0].pageSize == images[1][0].pageSize,
      let full = try LazyFull(
        chains[0].full, open[0].files[open[0].files.count - 1], repository.credentials, repository.files)
    else { return nil }
    var stored: [PointID: [UInt32: [UInt8]]] = [:]
    for chain in open { try Self.load(chain, into: &stored, repository, progress) }
    before = LazyPoint(open[0], images[0][0], stored, full)
    after = LazyPoint(open[1], images[1][0], stored, full)
    changed = Self.difference(chains, stored, images.map { $0[0].pageCount })
    guard changed.count * images[0][0].pageSize <= Self.mostBytes else { return nil }
  }

  private static func isReadable(_ chains: [PointChain]) -> Bool {
    var links: [PointID: StoredPoint] = [:]
    for link in chains.flatMap(\.links) { links[link.id] = link }
    let pages = links.values.filter(\.isIncremental).reduce(Int64(0)) {
      $0.addingClamped(
        Int64($1.metadata.pagesStored ?? .max).multipliedClamped(by: Int64($1.metadata.pageSize ?? 65536)))
    }
    return links.values.allSatisfy { $0.name.encrypted && $0.metadata.cipher == .aes256GCM && $0.isAuthenticated }
      && pages <= Int64(mostBytes)
  }

  /// Compaction may have merged links between the two readings: if both chains name an archive, it
  /// must be the same file.
  private static func areOfOneMoment(_ chains: [PointChain]) -> Bool {
    let known = Dictionary(
      chains[0].links.map { ($0.id, $0.metadata.checksum) }, uniquingKeysWith: { first, _ in first })
    return chains[1].links.allSatisfy { link in known[link.id].map { $0 == link.metadata.checksum } ?? true }
  }

  private static func load(
    _ chain: OpenChain, into stored: inout [PointID: [UInt32: [UInt8]]], _ repository: Repository, _ progress: Progress
  ) throws {
    for (link, file) in zip(chain.chain.links, chain.files) where link.isIncremental && stored[link.id] == nil {
      let reader = try ArchiveReader(
        file, name: link.name, credentials: repository.credentials, progress: progress, repository.files)
      let loaded = LoadedPages(pageSize: link.metadata.pageSize ?? 0)
      let checksum = try reader.readPages { try loaded.add($0, $1) }
      guard checksum.hex == link.metadata.checksum else {
        throw HoldfastError(.archiveCorrupt, "the archive \(link.name.text) does not match its metadata")
      }
      stored[link.id] = loaded.pages
    }
  }

  /// Pages of the links that only one of the chains has.
  private static func difference(
    _ chains: [PointChain], _ stored: [PointID: [UInt32: [UInt8]]], _ counts: [UInt32]
  ) -> [UInt32] {
    let ids = chains.map { Set($0.links.map(\.id)) }
    var pages: Set<UInt32> = []
    for id in ids[0].symmetricDifference(ids[1]) { pages.formUnion(stored[id, default: [:]].keys) }
    let (fewer, more) = (min(counts[0], counts[1]), max(counts[0], counts[1]))
    if fewer < more { pages.formUnion(fewer + 1...more) }
    return pages.sorted()
  }
}

/// Collects pages; safe from several threads.
private final class LoadedPages: Sendable {
  private let monitor = Monitor()
  private let pageSize: Int
  // Guarded by `monitor`.
  private nonisolated(unsafe) var found: [UInt32: [UInt8]] = [:]

  init(pageSize: Int) { self.pageSize = pageSize }

  var pages: [UInt32: [UInt8]] { monitor.locked { found } }

  func add(_ numbers: ArraySlice<UInt32>, _ bytes: UnsafeRawBufferPointer) throws {
    guard pageSize > 0, bytes.count == numbers.count * pageSize else {
      throw HoldfastError(.archiveCorrupt, "the size of its pages differs from the recorded size")
    }
    monitor.locked {
      for (index, number) in numbers.enumerated() {
        found[number] = Array(bytes[(index * pageSize)..<((index + 1) * pageSize)])
      }
    }
  }
}

/// A backup's pages: each from the newest link that has it, otherwise from the full.
final class LazyPoint: DatabasePages {
  let pageSize: Int
  let pageCount: UInt32
  private let links: [[UInt32: [UInt8]]]
  private let full: LazyFull
  // The archives stay open for as long as pages are read.
  private let chain: OpenChain
  private let lockPage: UInt32

  init(_ chain: OpenChain, _ image: LinkImage, _ stored: [PointID: [UInt32: [UInt8]]], _ full: LazyFull) {
    self.chain = chain
    self.full = full
    (pageSize, pageCount) = (image.pageSize, image.pageCount)
    links = chain.chain.links.compactMap { stored[$0.id] }
    lockPage = PageShape.lockPage(pageSize: image.pageSize)
  }

  func read(page number: UInt32, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard number != lockPage else {
      buffer.initializeMemory(as: UInt8.self, repeating: 0)
      return
    }
    for link in links {
      if let page = link[number] { return buffer.copyBytes(from: page[offset..<(offset + buffer.count)]) }
    }
    try full.read(at: Int64(number - 1) * Int64(pageSize) + Int64(offset), into: buffer)
  }
}

/// Reads any part of a full's image without the rest. Only for `aes-256-gcm` archives, because each
/// of their segments is authenticated separately.
///
/// A page costs the segments and the member that hold it; the members that were used last are kept.
/// Used by one thread.
final class LazyFull {
  private let file: OpenFile
  private let files: any FileOperations
  private let compressed: Bool
  private let cipher: AESGCM
  private let headSize: Int64
  private let trailer: ArchiveTrailer
  private let payloadSize: Int64
  private let segmentCount: UInt64
  private let decoder = GzipMemberDecoder()
  private var members: [Int: [UInt8]] = [:]
  private var recent: [Int] = []
  private var offsets: [Int: Int64] = [:]

  /// The number of 1 MiB members that are kept.
  private static let kept = 24

  /// - Returns: nil for an archive of another kind.
  /// - Throws: `archiveCorrupt`, `wrongKey`, `keyMissing`.
  init?(_ point: StoredPoint, _ file: OpenFile, _ credentials: Credentials, _ files: any FileOperations) throws {
    guard point.name.encrypted, point.name.content == .database, let head = try SealedHeader(file, files) else {
      return nil
    }
    guard head.header.id == point.id, head.header.compressed == point.name.compressed else { return nil }
    self.file = file
    self.files = files
    compressed = head.header.compressed
    cipher = try AESGCM(key: head.unlock(credentials), encrypts: false)
    headSize = Int64(head.size)
    let layout = try GCMLayout(size: files.size(file), headerSize: head.size, file, files)
    trailer = try layout.openFittingTrailer(cipher, file, files)
    segmentCount = layout.segments
    payloadSize = layout.plainBytes
  }

  /// Fills `buffer` from an offset of the image; it must not cross a mebibyte.
  func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard compressed else { return try readPayload(at: offset, into: buffer) }
    let number = Int(offset / Int64(GzipMember.chunkSize))
    let start = Int(offset % Int64(GzipMember.chunkSize))
    let bytes = try member(number)
    guard start + buffer.count <= bytes.count else { throw Self.short }
    bytes.withUnsafeBytes {
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + buffer.count]))
    }
  }

  private static var short: HoldfastError { HoldfastError(.archiveCorrupt, "a member of its image is too short") }

  private func member(_ number: Int) throws -> [UInt8] {
    recent.removeAll { $0 == number }
    recent.append(number)
    if let known = members[number] { return known }
    let bytes = try inflate(number)
    members[number] = bytes
    if recent.count > Self.kept { members[recent.removeFirst()] = nil }
    return bytes
  }

  private func inflate(_ number: Int) throws -> [UInt8] {
    let offset = try memberOffset(number)
    let size = try memberSize(at: offset)
    var sealed = [UInt8](repeating: 0, count: size)
    try sealed.withUnsafeMutableBytes { try readPayload(at: offset, into: $0) }
    return try [UInt8](unsafeUninitializedCapacity: GzipMember.chunkSize) { buffer, count in
      count = try sealed.withUnsafeBytes { try decoder.decode($0, into: UnsafeMutableRawBufferPointer(buffer)) }
    }
  }

  private func memberSize(at offset: Int64) throws -> Int {
    var header = [UInt8](repeating: 0, count: GzipMember.headerSize)
    try header.withUnsafeMutableBytes { try readPayload(at: offset, into: $0) }
    guard let size = header.withUnsafeBytes({ GzipMember.size($0) }) else {
      throw HoldfastError(.archiveCorrupt, "the header of a gzip member is damaged")
    }
    return size
  }

  /// From the trailer's index, which has every stride-th member; the members between two entries
  /// are found by their sizes.
  private func memberOffset(_ number: Int) throws -> Int64 {
    if let known = offsets[number] { return known }
    let stride = max(1, Int(trailer.memberStride))
    guard number / stride < trailer.memberOffsets.count else { throw Self.short }
    var offset = Int64(clamping: trailer.memberOffsets[number / stride])
    for next in (number / stride * stride)..<number {
      offsets[next] = offset
      offset += Int64(try memberSize(at: offset))
    }
    offsets[number] = offset
    return offset
  }

  /// Decrypted payload bytes from any offset.
  private func readPayload(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard offset >= 0, offset + Int64(buffer.count) <= payloadSize else { throw Self.short }
    let size = ArchiveHeader.segmentSize
    var plain = [UInt8](repeating: 0, count: size)
    var done = 0
    while done < buffer.count {
      let place = offset + Int64(done)
      let (segment, start) = (UInt64(place) / UInt64(size), Int(place % Int64(size)))
      let length = try open(segment, into: &plain)
      let count = min(buffer.count - done, length - start)
      guard count > 0 else { throw Self.short }
      plain.withUnsafeBytes { (buffer.baseAddress! + done).copyMemory(from: $0.baseAddress! + start, byteCount: count) }
      done += count
    }
  }

  private func open(_ segment: UInt64, into plain: inout [UInt8]) throws -> Int {
    let size = ArchiveHeader.segmentSize
    let length = Int(min(Int64(size), payloadSize - Int64(segment) * Int64(size)))
    guard segment < segmentCount, length > 0 else { throw Self.short }
    var sealed = [UInt8](repeating: 0, count: length + AESGCM.tagSize)
    let place = headSize + Int64(segment) * Int64(size + AESGCM.tagSize)
    let ok = try sealed.withUnsafeMutableBytes { input in
      guard try files.read(file, into: input, at: place) == input.count else { return false }
      return try plain.withUnsafeMutableBytes {
        try cipher.open(
          UnsafeRawBufferPointer(input), nonce: SegmentNonce.bytes(segment, last: false),
          into: UnsafeMutableRawBufferPointer(rebasing: $0[..<length]))
      }
    }
    guard ok else {
      throw HoldfastError.forgedSegment(segment)
    }
    return length
  }
}

/// A backup as a database that no other process can see: restored to a private file, verified
/// meanwhile, and open for reading.
///
/// The file is created in this host's own scratch folder (mode 0700), never in the repository,
/// which other users may read. It is unlinked as soon as SQLite has opened it, so that the
/// decrypted content disappears when this object is closed or the process ends in any way. If the
/// process is killed before that, a locked temporary name remains, which the next run removes.
package final class ScratchPoint {
  package let point: StoredPoint
  /// Read-only and immutable, `DEFENSIVE` and without a trusted schema; used by one thread at a
  /// time.
  package let connection: DatabaseConnection
  /// The chain that was read.
  package let chain: PointChain
  /// Bytes of the database.
  package let size: Int64
  /// The digest of its pages, 16 bytes; nil if the page size of an old archive could not be
  /// determined.
  package let digest: [UInt8]?

  /// Restores a backup.
  ///
  /// Every link's checksum, authentication and digest are verified while it is read. SQLite's own
  /// checks are not run.
  ///
  /// - Parameter acceptUnauthenticated: reads a backup even if its origin cannot be authenticated.
  /// - Throws: `HoldfastError`: `noSpace` before anything is written if the scratch folder has too
  ///   little room; `pointNotFound` if the archive is missing; `archiveCorrupt` and `verificationFailed` for a damaged backup; `wrongKey`,
  ///   `keyMissing`, `unauthenticated`, `refused` for a raw copy of damaged files,
  ///   `databaseCorrupt` and `notADatabase` if SQLite cannot read the stored database,
  ///   `interrupted`.
  package init(
    _ point: StoredPoint, in repository: Repository, progress: Progress = Progress(),
    acceptUnauthenticated: Bool = false
  ) throws {
    try Self.requireReadable(point, acceptUnauthenticated)
    let files = repository.files
    let scratch = try repository.scratch()
    try files.requireRoom(for: point.metadata.originalSize ?? 0, toRead: point.id.text, in: scratch.folder)
    let image = try StagedImage(
      point, in: scratch.makeFile(.point), repository: repository, progress: progress, verify: true,
      acceptUnauthenticated: acceptUnauthenticated)
    self.point = point
    chain = image.chain
    (size, digest) = (image.archive.imageSize, image.archive.digest)
    // SQLite holds no lock on an immutable file, so closing our descriptor with `image` cannot drop
    // one.
    connection = try withExtendedLifetime(image) {
      try onDatabase { try DatabaseConnection(unlinking: image.path, files) }
    }
  }

  /// Closes the database, whose file is then gone. Idempotent.
  package func close() {
    connection.close()
  }

  private static func requireReadable(_ point: StoredPoint, _ acceptUnauthenticated: Bool) throws {
    guard point.name.content != .raw else {
      throw HoldfastError(
        .refused, "\(point.id) is a copy of damaged files and cannot be opened as a database",
        hint: "holdfast restore \(point.id) --to PATH unpacks it")
    }
    guard !point.archiveMissing else { throw HoldfastError.archiveMissing(point.id) }
    guard point.isAuthenticated || acceptUnauthenticated else {
      throw HoldfastError(
        .unauthenticated, "\(point.id) cannot be authenticated: \(point.problems.last ?? "this host did not store it")",
        hint: "use an authenticated backup, or --accept-unauthenticated if you know the origin of this one")
    }
  }
}

extension FileOperations {
  /// - Throws: `noSpace` if a scratch folder has less room than the database to be read there
  ///   needs.
  func requireRoom(for needed: Int64, toRead what: String, in folder: String) throws {
    let free = try freeSpace(folder)
    guard free < needed else { return }
    throw HoldfastError(
      .noSpace, "reading \(what) needs \(ByteCount(needed)) in \(folder), but only \(ByteCount(free)) are free",
      hint: "free some space there, or set XDG_STATE_HOME to a folder on a larger file system")
  }
}

extension DatabaseConnection {
  /// Opens a private image and unlinks it, so that its decrypted content disappears when this
  /// process ends in any way.
  convenience init(unlinking path: String, _ files: any FileOperations) throws {
    try self.init(path: path, access: .readOnly)
    try files.unlink(path)
  }
}
