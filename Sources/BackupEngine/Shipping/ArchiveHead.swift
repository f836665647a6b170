import BackupPolicy

extension Engine {
  /// The bytes from the start of an archive that hold its header, in nearly every case.
  package static let headBytes: Int64 = 64 << 10

  /// Returns the facts that the header of an archive elsewhere states.
  ///
  /// - Parameters:
  ///   - head: the first ``headBytes`` of the archive.
  ///   - bytes: of the whole archive.
  /// - Returns: nil if it is not an authenticated archive of this repository, or does not open with
  ///   the key.
  package func point(
    ofHead head: [UInt8], _ name: ArchiveName, bytes: Int64, repositoryID: String
  ) throws -> Point? {
    try sealedHeader(head, name, repositoryID).map { Point($0.metadata(filename: name.text, archiveSize: bytes)) }
  }

  /// Whether an archive elsewhere was made by another backup than the one of the same ID here: on
  /// another host, or at another time of the same second.
  ///
  /// - Parameter head: the first ``headBytes`` of the archive.
  /// - Returns: false if it is not known.
  package func differs(_ head: [UInt8], _ name: ArchiveName, repositoryID: String) throws -> Bool {
    guard let there = try sealedHeader(head, name, repositoryID)?.metadata(filename: name.text, archiveSize: 0),
      let here = try repository().points().first(where: { $0.id == name.id })?.metadata
    else { return false }
    return there.created != here.created || there.host != here.host
  }

  private func sealedHeader(_ head: [UInt8], _ name: ArchiveName, _ repositoryID: String) throws -> ArchiveHeader? {
    let repository = try repository()
    let identity = repository.storedIdentity()
    return try repository.scratch().withFile(.stage) { file in
      try head.withUnsafeBytes { try environment.files.write(file, $0, at: 0) }
      let sealed: SealedHeader?
      do {
        sealed = try SealedHeader(file, environment.files)
      } catch let error as HoldfastError where error.code == .archiveCorrupt {
        return nil
      }
      guard let sealed, sealed.header.id == name.id, sealed.header.repositoryID.hex == repositoryID,
        sealed.isCheap(credentials, identity) || sealed.isModest(credentials), (try? sealed.unlock(credentials)) != nil
      else { return nil }
      return sealed.header
    }
  }
}
