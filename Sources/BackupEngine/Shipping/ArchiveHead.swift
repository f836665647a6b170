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
      return Point(sealed.header.metadata(filename: name.text, archiveSize: bytes))
    }
  }
}
