import BackupPolicy
import Names
import ObjectStorage

/// A place that may have archives: a target, or the backup folder of this machine.
package struct BackupSource: Sendable {
  package enum Layout: Hashable, Sendable {
    /// Keys as ``RemoteKey`` defines them.
    case target
    /// The names of archives alone, without an index for readers.
    case repository
  }

  /// As it was given, for messages.
  package let address: String
  package let store: any ObjectStore
  package let layout: Layout

  package init(address: String, store: any ObjectStore) {
    (self.address, self.store, layout) = (address, store, .target)
  }

  /// - Parameter folder: a repository on this machine. Its archives are used if they are the same
  ///   as those of a target.
  package init(repository folder: String) {
    (address, store, layout) = (folder, FolderStore(folder), .repository)
  }

  /// The key of an archive.
  func key(_ name: RemoteName, in repositoryID: String) -> String {
    layout == .target ? "\(repositoryID)/\(name.text)" : name.archive.text
  }

  /// Everything in a folder, as `read` understands it.
  func list(_ query: ListQuery) throws(HoldfastError) -> ListPage {
    do throws(StoreError) {
      return try store.listAll(query)
    } catch {
      throw HoldfastError(error, of: address)
    }
  }

  /// The repositories in a target, by their IDs.
  func repositories() throws(HoldfastError) -> [String] {
    try list(ListQuery(groupsFolders: true)).folders.map { String($0.dropLast()) }.filter {
      RemoteKey(repository: $0, .probe(0)) != nil
    }
  }

  /// The names of the writer records of a repository.
  func writers(of repositoryID: String) throws(HoldfastError) -> [WriterName] {
    try objects(of: repositoryID, WriterName.folder).compactMap {
      if case .writer(let name) = $0.object { name } else { nil }
    }
  }

  /// The bytes of a writer record; nil if it is no record, so that it has no effect.
  func record(_ name: WriterName, of repositoryID: String) throws(HoldfastError) -> [UInt8]? {
    do throws(StoreError) {
      return try store.get("\(repositoryID)/\(name.text)", limit: 1 << 16)
    } catch {
      guard error.kind == .missing || error.kind == .tooLarge else { throw HoldfastError(error, of: address) }
      return nil
    }
  }

  /// The objects of a repository whose names begin with a text, with their sizes in bytes.
  func objects(
    of repositoryID: String, _ prefix: String
  ) throws(HoldfastError) -> [(object: RemoteObject, bytes: Int64)] {
    try list(ListQuery(prefix: "\(repositoryID)/\(prefix)")).objects.compactMap { info in
      guard let key = RemoteKey(info.key), key.repository == repositoryID else { return nil }
      return (key.object, info.size)
    }
  }
}
