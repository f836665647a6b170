import BackupPolicy
import SQLitePages

extension Engine {
  /// Compares the digests of a backup and of a snapshot: equal digests mean the very same pages.
  ///
  /// Costs one read of the database, and less if page size or count differ. A checkpoint, a
  /// database's last close and our own closing move pages from one file to another without changing
  /// the content: only this comparison detects that.
  ///
  /// - Returns: nil if the digests cannot be compared: the backup has no digest or does not open,
  ///   or the database is empty.
  /// - Throws: `HoldfastError` if the database cannot be read, and `interrupted`.
  package func holds(
    _ point: StoredPoint, contentOf snapshot: DatabaseSnapshot, progress: Progress = Progress()
  ) throws -> Bool? {
    try holds(point, contentOf: SnapshotSource(snapshot: snapshot), progress)
  }

  func holds(_ point: StoredPoint, contentOf source: some ImageSource, _ progress: Progress) throws -> Bool? {
    guard source.pageCount > 0, let recorded = try? RecordedDigest(point, in: repository()) else { return nil }
    guard recorded.pageSize == source.pageSize, recorded.pageCount == source.pageCount else { return false }
    return try Self.digest(of: source, recorded.secret, progress) == recorded.digest
  }

  private static func digest(
    _ source: some ImageSource, secret: PageDigest.Secret, from start: Int64, into buffer: UnsafeMutableRawBufferPointer
  ) throws -> PageDigest {
    var digest = PageDigest()
    try source.read(at: start, into: buffer)
    digest.add(
      UnsafeRawBufferPointer(buffer), first: UInt32(start / Int64(source.pageSize)) + 1, pageSize: source.pageSize,
      lockPage: source.lockPage, secret: secret)
    return digest
  }

  private static func digest(
    of source: some ImageSource, _ secret: PageDigest.Secret, _ progress: Progress
  ) throws -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: GzipMember.chunkSize, alignment: 4096)
    defer { buffer.deallocate() }
    var whole = PageDigest()
    for start in stride(from: 0, to: source.imageSize, by: buffer.count) {
      let part = UnsafeMutableRawBufferPointer(
        rebasing: buffer[..<Int(min(Int64(buffer.count), source.imageSize - start))])
      whole.combine(try digest(source, secret: secret, from: start, into: part))
      try progress.update(.comparing, start, of: source.imageSize)
    }
    return whole.finished(pageSize: source.pageSize, pageCount: source.pageCount)
  }
}

/// The digest that a backup records of its image, with the values from which it was computed.
private struct RecordedDigest {
  let digest: [UInt8]
  let secret: PageDigest.Secret
  let pageSize: Int
  let pageCount: UInt32

  /// Reads the authenticated trailer if there is one, else the metadata; nil if neither has the
  /// digest.
  init?(_ point: StoredPoint, in repository: Repository) throws {
    guard point.name.content != .raw, !point.isDamaged, !point.archiveMissing else { return nil }
    guard point.metadata.cipher == .aes256GCM else {
      guard let digest = point.metadata.digest.flatMap({ [UInt8](hex: $0) }), let pageSize = point.metadata.pageSize,
        let pageCount = point.metadata.pageCount
      else { return nil }
      (self.digest, secret, self.pageSize, self.pageCount) = (digest, .standard, pageSize, pageCount)
      return
    }
    let files = repository.files
    let file = try files.open(repository.path(point.name.text), .readNoFollow)
    defer { files.close(file) }
    guard let head = try SealedHeader(file, files),
      let trailer = try GCMSource(
        HashingFileReader(file, files), file: file, files, head: head, credentials: repository.credentials
      ).trailer
    else { return nil }
    digest = trailer.digest
    secret = try PageDigest.Secret(key: SecretBytes(trailer.digestKey))
    pageSize = Int(head.header.pageSize)
    pageCount = trailer.pageCount
  }
}
