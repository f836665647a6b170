import Glibc
import Names

/// One page of a listing of a folder, in the order of S3: by the bytes of the whole key.
struct FolderListing {
  private let query: ListQuery
  private let prefix: [UInt8]
  /// Keys and folders up to this text were listed before.
  private let after: [UInt8]?
  private var isComplete = true
  private(set) var objects: [ObjectInfo] = []
  private(set) var folders: [String] = []
  private var last: [UInt8] = []

  init(_ query: ListQuery) {
    self.query = query
    prefix = query.prefix.pathBytes
    after = (query.token ?? query.startAfter)?.pathBytes
  }

  var page: ListPage {
    var next: ListQuery?
    if !isComplete {
      next = query
      next?.token = last.withUnsafeBytes { String(pathBytes: $0) }
    }
    return ListPage(objects: objects, folders: folders, next: next)
  }

  /// Adds the entries of a folder and of those below it. Returns false if the page is full.
  ///
  /// - Parameter path: the part of the keys before the names, empty or with a `/` at the end.
  mutating func walk(_ folder: Int32, path: [UInt8]) throws(StoreError) -> Bool {
    for entry in try FolderEntry.all(in: folder) where !entry.isTemporary {
      let key = path + entry.name
      guard entry.isFolder ? mayContain(key) : isAsked(key) else { continue }
      let goesOn = entry.isFolder ? try visit(folder, entry, key) : addObject(folder, entry, key)
      if !goesOn { return false }
    }
    return true
  }

  private func isAsked(_ key: [UInt8]) -> Bool {
    key.starts(with: prefix) && (after.map { $0.lexicographicallyPrecedes(key) } ?? true)
  }

  /// Whether keys below a folder may be asked for.
  private func mayContain(_ folder: [UInt8]) -> Bool {
    guard folder.starts(with: prefix) || prefix.starts(with: folder) else { return false }
    guard let after else { return true }
    if groups(folder), query.token != nil, folder == after { return false }
    return after.starts(with: folder) || after.lexicographicallyPrecedes(folder)
  }

  /// Whether a folder is reported itself and not its objects.
  private func groups(_ folder: [UInt8]) -> Bool {
    query.groupsFolders && folder.count > prefix.count && folder.starts(with: prefix)
  }

  private mutating func visit(_ parent: Int32, _ entry: FolderEntry, _ key: [UInt8]) throws(StoreError) -> Bool {
    let folder = openat(parent, entry.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard folder >= 0 else {
      if errno == ENOENT || errno == ENOTDIR || errno == ELOOP { return true }
      throw StoreError(errno: errno, "cannot list a folder of the store")
    }
    defer { close(folder) }
    guard groups(key) else { return try walk(folder, path: key) }
    guard try containsObject(folder, path: key) else { return true }
    guard hasRoom() else { return false }
    folders.append(key.withUnsafeBytes { String(pathBytes: $0) })
    last = key
    return true
  }

  /// Folders may be empty after a crash; a store of objects knows no empty folders.
  private func containsObject(_ folder: Int32, path: [UInt8]) throws(StoreError) -> Bool {
    var whole = query
    (whole.groupsFolders, whole.pageSize) = (false, 1)
    var inner = FolderListing(whole)
    _ = try inner.walk(folder, path: path)
    return !inner.objects.isEmpty
  }

  private mutating func addObject(_ folder: Int32, _ entry: FolderEntry, _ key: [UInt8]) -> Bool {
    var status = stat()
    // A file that vanished meanwhile is not there.
    guard fstatat(folder, entry.raw, &status, AT_SYMLINK_NOFOLLOW) == 0,
      status.st_mode & S_IFMT == S_IFREG
    else { return true }
    guard hasRoom() else { return false }
    objects.append(
      ObjectInfo(
        key: key.withUnsafeBytes { String(pathBytes: $0) }, size: Int64(status.st_size),
        modified: status.modifiedMilliseconds))
    last = key
    return true
  }

  private mutating func hasRoom() -> Bool {
    if objects.count + folders.count < query.pageSize { return true }
    isComplete = false
    return false
  }
}
