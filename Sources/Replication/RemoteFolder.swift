import BackupPolicy
import ObjectStorage
import Synchronization

/// The folder of one repository in a target. Counts the requests that it sends.
package final class RemoteFolder: Sendable {
  /// 32 hexadecimal digits.
  package let repositoryID: String
  private let store: any ObjectStore
  private let counted = Mutex(RequestCount())

  /// Returns nil if the repository's ID does not have its form.
  package init?(_ store: any ObjectStore, repositoryID: String) {
    guard RemoteKey(repository: repositoryID, .probe(0)) != nil else { return nil }
    (self.store, self.repositoryID) = (store, repositoryID)
  }

  /// Whether the store is a folder that lacks an object. Other stores are not asked.
  package func isFolderWithout(_ object: RemoteObject) throws(StoreError) -> Bool {
    guard isOnDisk else { return false }
    return try named(object) { key throws(StoreError) in try store.head(key) == nil }
  }

  // MARK: Marks of folders

  /// Whether the store is a folder of a file system. What is asked there is no request.
  var isOnDisk: Bool { store is FolderStore }

  private static let marks = "folder-"

  /// The folder of a mark, without the address of the target.
  func placeOfMark(_ mark: UInt64) -> String { "\(repositoryID)/\(Self.marks)\(Digits.hexadecimal(mark))" }

  private func keyOfMark(_ mark: UInt64) -> String { "\(placeOfMark(mark))/about.txt" }

  func marks() throws(StoreError) -> [UInt64] {
    let folders = try store.listAll(ListQuery(prefix: "\(repositoryID)/\(Self.marks)", groupsFolders: true)).folders
    return folders.compactMap { folder in
      Digits.hexadecimal(folder.utf8.dropFirst(repositoryID.utf8.count + 1 + Self.marks.utf8.count).dropLast())
    }
  }

  func has(mark: UInt64) throws(StoreError) -> Bool {
    try named(keyOfMark(mark), Self.markWords) { key throws(StoreError) in try store.head(key) != nil }
  }

  func put(mark: UInt64) throws(StoreError) {
    let text = "Holdfast recognises the disk of this target by this file. Without it, nothing is copied here.\n"
    try named(keyOfMark(mark), Self.markWords) { key throws(StoreError) in
      try store.put(key, ObjectContent(Array(text.utf8)))
    }
  }

  private static let markWords = "the mark of the target's folder"

  /// Whether an archive is in the target, whole. In a folder it is no request.
  func hasWhole(_ name: RemoteName) throws(StoreError) -> Bool {
    if !isOnDisk { count { $0.gets += 1 } }
    return try named(.archive(name)) { key throws(StoreError) in try store.head(key)?.size == name.bytes }
  }

  /// The requests so far, also the failed ones. Retries within the store are not among them.
  package var requests: RequestCount { counted.withLock { $0 } }

  private func key(_ object: RemoteObject) -> String { "\(repositoryID)/\(object.text)" }

  /// Calls the store with the key of an object. Its errors name the object as people know it.
  private func named<Result>(
    _ object: RemoteObject, _ body: (String) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    try named(key(object), object.words, body)
  }

  private func named<Result>(
    _ key: String, _ words: String, _ body: (String) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    do throws(StoreError) {
      return try body(key)
    } catch {
      throw error.naming(key, words)
    }
  }

  /// Everything in the folder whose name begins with a text, in the order of names. Objects with
  /// other names than ours are left out.
  ///
  /// - Parameter after: only names behind this one.
  package func list(_ prefix: String = "", after: String? = nil) throws(StoreError) -> [RemoteObject] {
    try listWithFacts(prefix, after: after).map(\.object)
  }

  /// The same, with the facts of the list about each object.
  package func listWithFacts(
    _ prefix: String = "", after: String? = nil
  ) throws(StoreError) -> [(object: RemoteObject, info: ObjectInfo)] {
    let query = ListQuery(
      prefix: "\(repositoryID)/\(prefix)", startAfter: after.map { "\(repositoryID)/\($0)" })
    var objects: [(object: RemoteObject, info: ObjectInfo)] = []
    var pages: Int64 = 0
    defer { count { $0.lists += max(1, pages) } }
    try store.forEachPage(query) { page in
      pages += 1
      for object in page.objects {
        if let key = RemoteKey(object.key), key.repository == repositoryID { objects.append((key.object, object)) }
      }
    }
    return objects
  }

  /// - Parameter range: nil for the whole object.
  package func get(
    _ object: RemoteObject, range: Range<Int64>? = nil, limit: Int = 1 << 20
  ) throws(StoreError) -> [UInt8] {
    count { $0.gets += 1 }
    return try named(object) { key throws(StoreError) in try store.get(key, range: range, limit: limit) }
  }

  /// The size of an object; nil if it does not exist.
  package func size(_ object: RemoteObject) throws(StoreError) -> Int64? {
    count { $0.gets += 1 }
    return try named(object) { key throws(StoreError) in try store.head(key)?.size }
  }

  package func put(
    _ object: RemoteObject, _ content: ObjectContent, _ options: PutOptions = PutOptions()
  ) throws(StoreError) {
    count { $0.puts += UploadParts().requests(forBytes: content.length) }
    try named(object) { key throws(StoreError) in try store.put(key, content, options) }
  }

  package func delete(_ object: RemoteObject) throws(StoreError) {
    count { $0.deletes += 1 }
    try named(object) { key throws(StoreError) in try store.delete(key) }
  }

  package func abandon(_ upload: UploadState) throws(StoreError) {
    count { $0.deletes += 1 }
    try store.abandon(upload)
  }

  /// Removes the remains of crashed puts to this repository's folder.
  ///
  /// - Parameters:
  ///   - age: seconds.
  ///   - kept: an upload that will be continued.
  package func removeLeftovers(olderThan age: Int64, except kept: UploadState?) throws(StoreError) -> Int {
    count { $0.lists += 1 }
    let removed = try store.removeLeftovers(in: repositoryID, olderThan: age * 1000, except: kept)
    count { $0.deletes += Int64(removed) }
    return removed
  }

  private func count(_ change: (inout RequestCount) -> Void) { counted.withLock { change(&$0) } }
}

extension RemoteObject {
  /// What it is, for people.
  var words: String {
    switch self {
    case .archive(let name): "the archive of \(name.id)"
    case .metadata(let name): "the metadata of \(name.id)"
    case .writer(let name): "the writer record \(name.epoch)"
    case .probe: "a probe"
    }
  }
}
