import BackupEngine
import BackupPolicy
import ObjectStorage

/// One archive on its way out of the repository.
struct Shipment {
  let archive: ShippedArchive
  private(set) var name: RemoteName

  /// - Parameters:
  ///   - epoch: of the writer record under which it is written.
  ///   - filename: of the archive in the repository, if it is known.
  init(_ put: ReplicationPut, epoch: Int, filename: String?, _ engine: Engine, _ progress: Progress) throws {
    archive =
      put.merged.isEmpty
      ? try engine.openArchive(of: put.point, filename: filename)
      : try engine.mergedArchive(of: put.point, with: put.merged, progress: progress)
    guard archive.sequence == put.sequence, archive.parent == put.parent,
      let name = RemoteName(
        chain: put.chain, sequence: put.sequence, parent: put.parentSequence, epoch: epoch, bytes: archive.bytes,
        hash: leadingNumber(of: archive.sha256), archive: archive.name)
    else {
      throw HoldfastError(.factsChanged, "\(put.point) has changed since the plan for the target was made")
    }
    self.name = name
  }

  /// Gives it the name under which an earlier run began to upload the same archive: parts cannot be
  /// renamed.
  ///
  /// - Returns: whether it is the same archive.
  mutating func continueUpload(as begun: RemoteName) -> Bool {
    let other = RemoteName(
      chain: name.chain, sequence: name.sequence, parent: name.parent, epoch: begun.epoch, bytes: name.bytes,
      hash: name.hash, archive: name.archive)
    guard other == begun else { return false }
    name = begun
    return true
  }

  var content: ObjectContent {
    ObjectContent(descriptor: archive.descriptor, length: archive.bytes, sha256: archive.sha256)
  }

  /// Puts the archive, and before it the record that it needs. The archive is the commit.
  ///
  /// - Parameters:
  ///   - canRead: the store permits to ask for an object.
  ///   - mayReplace: an object of that name and of another size is removed: it is a cut-off one.
  func send(
    to folder: RemoteFolder, _ options: PutOptions, canRead: Bool, mayReplace: Bool
  ) throws(StoreError) {
    if let metadata = archive.metadata {
      _ = try create(.metadata(name), ObjectContent(metadata), PutOptions(createOnly: options.createOnly), in: folder)
    }
    // The name contains the digest: an earlier put succeeded, and its answer was lost.
    guard try !create(.archive(name), content, options, in: folder), canRead else { return }
    guard try folder.size(.archive(name)) != archive.bytes else { return }
    if mayReplace {
      try folder.delete(.archive(name))
      if try create(.archive(name), content, options, in: folder) { return }
    }
    throw StoreError(.damaged, "cannot store the archive of \(name.id): there is another object of its name")
  }

  /// - Returns: false if the name is taken.
  private func create(
    _ object: RemoteObject, _ content: ObjectContent, _ options: PutOptions, in folder: RemoteFolder
  ) throws(StoreError) -> Bool {
    do {
      try folder.put(object, content, options)
      return true
    } catch {
      guard error.kind == .exists else { throw error }
      return false
    }
  }
}
