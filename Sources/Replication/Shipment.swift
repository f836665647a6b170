import BackupEngine
import BackupPolicy
import ObjectStorage

/// One archive on its way out of the repository.
struct Shipment {
  let archive: ShippedArchive
  let name: RemoteName

  /// - Parameter epoch: of the writer record under which it is written.
  init(_ put: ReplicationPut, epoch: Int, _ engine: Engine, _ progress: Progress) throws {
    archive =
      put.merged.isEmpty
      ? try engine.openArchive(of: put.point)
      : try engine.mergedArchive(of: put.point, with: put.merged, progress: progress)
    guard archive.sequence == put.sequence, archive.parent == put.parent,
      let name = RemoteName(
        chain: put.chain, sequence: put.sequence, parent: put.parentSequence, epoch: epoch, bytes: archive.bytes,
        hash: Hexadecimal.start(of: archive.sha256), archive: archive.name)
    else {
      throw HoldfastError(.factsChanged, "\(put.point) has changed since the plan for the target was made")
    }
    self.name = name
  }

  var content: ObjectContent {
    ObjectContent(descriptor: archive.descriptor, length: archive.bytes, sha256: archive.sha256)
  }

  /// Puts the archive, and before it the record that it needs. The archive is the commit.
  func send(to folder: RemoteFolder, _ options: PutOptions) throws(StoreError) {
    if let metadata = archive.metadata { try folder.put(.metadata(name), ObjectContent(metadata)) }
    try folder.put(.archive(name), content, options)
  }
}
