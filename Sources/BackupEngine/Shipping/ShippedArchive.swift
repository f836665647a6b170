import BackupPolicy

/// An open archive that is copied elsewhere. Later removals and replacements do not change it. The
/// last reference closes it.
package final class ShippedArchive: Sendable {
  package let name: ArchiveName
  package let sequence: Int64
  /// The backup that it needs; nil for a full.
  package let parent: PointID?
  package let bytes: Int64
  /// 32 bytes.
  package let sha256: [UInt8]
  /// The record of a backup whose archive does not contain it; nil for the others.
  package let metadata: [UInt8]?
  private let file: OpenFile
  private let files: any FileOperations

  package var descriptor: Int32 { file.descriptor }

  fileprivate init(_ metadata: PointMetadata, _ name: ArchiveName, _ file: OpenFile, _ files: any FileOperations) throws
  {
    (self.name, self.file, self.files) = (name, file, files)
    sequence = Int64(clamping: metadata.sequence ?? 0)
    parent = metadata.parentID
    bytes = try files.size(file)
    sha256 = try metadata.checksum.flatMap { [UInt8](hex: $0) } ?? HashingFileReader(file, files).finish()
    let isSelfContained = metadata.cipher == .aes256GCM || metadata.kind == .incremental
    self.metadata = isSelfContained ? nil : metadata.json.encoded()
  }

  deinit { files.close(file) }
}

extension Engine {
  /// Opens the archive of a backup.
  ///
  /// - Parameter filename: of the archive, if it is known: then the folder is not listed.
  /// - Throws: `pointNotFound` if it was removed meanwhile.
  package func openArchive(of id: PointID, filename: String? = nil) throws -> ShippedArchive {
    let repository = try repository()
    return try repository.shared(patience: environment.repositoryPatience) {
      let known = try filename.flatMap { ArchiveName($0) }.map { try repository.stored(in: $0) }
      guard let point = try known ?? repository.index().point(id), point.id == id, !point.archiveMissing else {
        throw HoldfastError.removed(id)
      }
      let file = try environment.files.open(repository.path(point.name.text), .readNoFollow)
      return try ShippedArchive(point.metadata, point.name, file, environment.files)
    }
  }

  /// Makes an archive of a backup with the pages of others merged into it, as compaction would, in
  /// this host's scratch folder. The repository does not change.
  ///
  /// - Parameter others: the backups between this one and the one on which the archive builds, the
  ///   oldest first.
  /// - Throws: `factsChanged` if the backups are not such a chain any more.
  package func mergedArchive(
    of id: PointID, with others: [PointID], progress: Progress = Progress()
  ) throws -> ShippedArchive {
    let repository = try repository()
    let files = environment.files
    let open = try repository.shared(patience: environment.repositoryPatience) {
      let index = try repository.index()
      let links = try ([id] + others.reversed()).map { id in
        guard let point = try index.point(id), !point.archiveMissing else { throw HoldfastError.removed(id) }
        return point
      }
      for (child, parent) in zip(links, links.dropFirst()) where child.metadata.parentID != parent.id {
        throw HoldfastError(.factsChanged, "\(child.id) does not build on \(parent.id) any more")
      }
      return try OpenChain(PointChain(links: links), in: repository, isLocked: true)
    }
    let merged = MergedArchive(
      open: open, files: files, credentials: repository.credentials, level: defaults.level, progress: progress)
    let scratch = try repository.scratch()
    let file = try scratch.makeFile(.stage)
    // Without a name it disappears with its last descriptor, also if this process is killed.
    try files.unlink(file.path)
    do {
      let metadata = try scratch.withFile(.stage) { try merged.write(to: file, scratch: $0) }
      return try ShippedArchive(metadata, open.chain.point.name, file, files)
    } catch let failure as ChainFailure {
      files.close(file)
      throw failure.error(for: id)
    } catch {
      files.close(file)
      throw error
    }
  }
}
