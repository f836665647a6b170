import BackupPolicy

/// Makes a new table of page hashes while the pages of an image pass by; safe from several threads.
///
/// The table is a memo, so nothing that happens to it fails whoever makes it: after a failed write there is none.
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

  /// Takes the hashes of neighbouring pages: their canonical forms one after another.
  func add(_ hashes: UnsafeRawBufferPointer, first: UInt32) {
    failure.catching { try files.write(file, hashes, at: PageDigestsHeader.offset(of: first)) }
  }

  /// Reads hashes back that were taken.
  func hashes(from first: UInt32, count: Int) throws -> [PageHash] {
    try failure.rethrow()
    var bytes = [UInt8](repeating: 0, count: count * PageHash.size)
    return try bytes.withUnsafeMutableBytes { room in
      guard try files.read(file, into: room, at: PageDigestsHeader.offset(of: first)) == room.count else {
        throw HoldfastError(.failed, "\(file.path) is shorter than it was")
      }
      return (0..<count).map { PageHash(UnsafeRawBufferPointer(room), at: $0) }
    }
  }

  /// Puts the table in place; its point must be stored and flushed. Throws where the table could not be made.
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
      // The lock page's place stays zero.
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
