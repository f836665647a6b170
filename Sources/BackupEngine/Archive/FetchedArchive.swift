import BackupPolicy

/// An archive file that came from elsewhere, before it counts as a backup.
package struct FetchedArchive: Sendable {
  /// The facts of its header; nil for an archive without one: a full that is not encrypted or is
  /// `aes-256-cbc`.
  package let metadata: PointMetadata?
  /// Whether it is `aes-256-gcm`, so that a key can prove it.
  package let isSealed: Bool
  private let sealed: SealedHeader?

  /// Reads the header.
  ///
  /// - Parameters:
  ///   - name: the archive's name in a repository.
  ///   - path: of the file, which may end behind the header.
  /// - Throws: `archiveCorrupt` if the header is damaged.
  package init(_ name: ArchiveName, at path: String, _ files: any FileOperations) throws {
    let file = try files.open(path, .readNoFollow)
    defer { files.close(file) }
    let size = try files.size(file)
    sealed = name.encrypted ? try SealedHeader(file, files) : nil
    isSealed = sealed != nil
    if let sealed {
      metadata = sealed.header.metadata(filename: name.text, archiveSize: size)
    } else if name.content == .pages {
      guard !name.encrypted else { throw HoldfastError.notAnArchive }
      metadata = try PlainHead.read(file, compressed: name.compressed, files)
        .metadata(filename: name.text, archiveSize: size)
    } else {
      metadata = nil
    }
  }

  /// Authenticates the header.
  ///
  /// - Throws: `keyMissing`, `wrongKey`; `archiveCorrupt` if it was forged; `unauthenticated` if no
  ///   key can prove the archive.
  package func prove(_ credentials: Credentials) throws {
    guard let sealed else {
      throw HoldfastError(.unauthenticated, "nothing proves its origin: it is not encrypted, or without authentication")
    }
    _ = try sealed.unlock(credentials)
  }

  /// The first 8 bytes of the SHA-256 of a file, as the names of a target spell them.
  package static func hash(at path: String, _ files: any FileOperations) throws -> UInt64 {
    let file = try files.open(path, .readNoFollow)
    defer { files.close(file) }
    return try HashingFileReader(file, files).finish().prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
  }
}
