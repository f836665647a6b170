import CShims
import Glibc
import Names
import Transfer

/// A folder as a store: of a mounted disk, a NAS, or for tests.
///
/// Each object is a file. It is written under a temporary name, flushed, renamed, and its folder is
/// flushed, so that a crash leaves it whole or absent. Links below the folder are not followed.
/// The folder itself must exist: if it is a mount point, a missing disk must not be filled up.
package final class FolderStore: ObjectStore {
  private let root: String
  /// Folders below it that contain all objects.
  private let below: [String]

  /// - Parameters:
  ///   - path: of the folder; it is looked up at each call.
  ///   - below: the names of folders in it, one in the other, that contain all objects. A put makes
  ///     them.
  package init(_ path: String, below: [String] = []) { (root, self.below) = (path, below) }

  package func put(_ key: String, _ content: ObjectContent, _ options: PutOptions) throws(StoreError) {
    let parts = try ObjectKey.parts(key)
    let action = "cannot store \(key.printable)"
    let (folder, file, temporary) = try createTemporary(parts, action)
    defer {
      close(file)
      close(folder)
    }
    do throws(StoreError) {
      try Self.write(content, to: file, options.sent, action)
      try publish(temporary, parts, in: folder, createOnly: options.createOnly, action)
    } catch {
      unlinkat(folder, temporary, 0)
      throw error
    }
  }

  package func get(_ key: String, range: Range<Int64>?, into sink: HTTPSink) throws(StoreError) -> ObjectData {
    let action = "cannot fetch \(key.printable)"
    guard let (file, status) = try openObject(key, action) else {
      throw StoreError(.missing, "\(action): there is no such object")
    }
    defer { close(file) }
    let size = Int64(status.st_size)
    let asked = range ?? 0..<size
    guard !asked.isEmpty else { return ObjectData(bytes: [], count: 0) }
    guard asked.lowerBound < size else { throw StoreError(.outOfRange, "\(action): the range is behind its end") }
    return try Self.copy(file, asked.clamped(to: 0..<size), sink, action)
  }

  package func head(_ key: String) throws(StoreError) -> ObjectInfo? {
    guard let (file, status) = try openObject(key, "cannot look up \(key.printable)") else { return nil }
    close(file)
    return ObjectInfo(key: key, size: Int64(status.st_size), modified: status.modifiedMilliseconds)
  }

  /// Also removes the folders that become empty.
  package func delete(_ key: String) throws(StoreError) {
    let action = "cannot remove \(key.printable)"
    let parts = try ObjectKey.parts(key)
    guard let folder = try open(parts.dropLast(), creates: false, action) else { return }
    defer { close(folder) }
    guard unlinkat(folder, parts[parts.count - 1].raw, 0) == 0 else {
      if errno == ENOENT || errno == EISDIR { return }
      throw StoreError(errno: errno, action)
    }
    try Self.flush(folder, action)
    try removeEmptyFolders(parts.dropLast(), action)
  }

  package func list(_ query: ListQuery) throws(StoreError) -> ListPage {
    guard let folder = try open([], creates: false, "cannot list \(root.printable)") else {
      return ListPage(objects: [], folders: [], next: nil)
    }
    defer { close(folder) }
    var listing = FolderListing(query)
    _ = try listing.walk(folder, path: [])
    return listing.page
  }

  /// A put into a folder is never continued, so nothing is left.
  package func abandon(_ upload: UploadState) throws(StoreError) {}

  package func removeLeftovers(
    in folder: String, olderThan age: Int64, except kept: UploadState?
  ) throws(StoreError) -> Int {
    let parts = try ObjectKey.parts(folder)
    guard let open = try open(parts[...], creates: false, "cannot clean up \(folder.printable)") else { return 0 }
    defer { close(open) }
    return try Self.removeLeftovers(open, StoreTime.now() - age)
  }

  /// Removes the files of puts that ended before their time, by a crash, if they were last written
  /// before `time` (milliseconds since the epoch). Returns their number.
  package func removeLeftovers(before time: Int64) throws(StoreError) -> Int {
    guard let folder = try open([], creates: false, "cannot clean up \(root.printable)") else { return 0 }
    defer { close(folder) }
    return try Self.removeLeftovers(folder, time)
  }

  private static func removeLeftovers(_ folder: Int32, _ time: Int64) throws(StoreError) -> Int {
    var removed = 0
    for entry in try FolderEntry.all(in: folder) {
      if entry.isFolder {
        let inner = openat(folder, entry.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard inner >= 0 else { continue }
        defer { close(inner) }
        removed += try removeLeftovers(inner, time)
      } else if entry.isTemporary {
        var status = stat()
        guard fstatat(folder, entry.raw, &status, AT_SYMLINK_NOFOLLOW) == 0, status.modifiedMilliseconds < time else {
          continue
        }
        if unlinkat(folder, entry.raw, 0) == 0 { removed += 1 }
      }
    }
    return removed
  }

  // MARK: Folders

  /// Opens a folder below the root; nil if it does not exist and `creates` is false.
  private func open(_ parts: ArraySlice<String>, creates: Bool, _ action: String) throws(StoreError) -> Int32? {
    var folder = Glibc.open(root.raw, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else {
      if errno == ENOTDIR { throw StoreError(.noContainer, "\(action): \(root.printable) is not a folder") }
      let reason = StoreError(errno: errno, action)
      guard reason.kind == .missing else { throw reason }
      throw StoreError(.noContainer, "\(action): there is no folder \(root.printable) (is it mounted?)")
    }
    for (depth, part) in (below + parts).enumerated() {
      let parent = folder
      defer { close(parent) }
      if depth < below.count { try requireNoFile(part, in: parent, action) }
      guard let next = try open(part, in: parent, creates: creates, action) else { return nil }
      folder = next
    }
    return folder
  }

  /// A file in place of a folder that contains all objects would look like an empty store.
  private func requireNoFile(_ part: String, in folder: Int32, _ action: String) throws(StoreError) {
    var status = stat()
    guard fstatat(folder, part.raw, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT != S_IFDIR else {
      return
    }
    throw StoreError(.noContainer, "\(action): \(root.printable)/\(part.printable) is not a folder")
  }

  /// Opens or creates a folder in an open one.
  private func open(_ part: String, in folder: Int32, creates: Bool, _ action: String) throws(StoreError) -> Int32? {
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    var next = openat(folder, part.raw, flags)
    if next < 0, errno == ENOENT, creates {
      guard mkdirat(folder, part.raw, 0o700) == 0 || errno == EEXIST else { throw StoreError(errno: errno, action) }
      try Self.flush(folder, action)
      next = openat(folder, part.raw, flags)
    }
    if next >= 0 { return next }
    let isOther = errno == ENOTDIR || errno == ELOOP
    if !creates, isOther || errno == ENOENT { return nil }
    if isOther { throw StoreError(.invalid, "\(action): \(part.printable) is not a folder") }
    throw StoreError(errno: errno, action)
  }

  private func removeEmptyFolders(_ parts: ArraySlice<String>, _ action: String) throws(StoreError) {
    var parts = parts
    while let name = parts.popLast() {
      guard let parent = try open(parts, creates: false, action) else { return }
      defer { close(parent) }
      // Another thread may have put something into it again.
      guard unlinkat(parent, name.raw, AT_REMOVEDIR) == 0 else { return }
    }
  }

  // MARK: Files

  /// A new file under a temporary name in the folder of the key.
  private func createTemporary(
    _ parts: [String], _ action: String
  ) throws(StoreError) -> (folder: Int32, file: Int32, name: [CChar]) {
    for attempt in 1... {
      let folder: Int32?
      do throws(StoreError) {
        folder = try open(parts.dropLast(), creates: true, action)
      } catch {
        // A folder was removed, because it was empty, between its creation and its opening.
        if error.kind == .missing, attempt < 100 { continue }
        throw error
      }
      guard let folder else { break }
      let name = (ObjectKey.temporaryPrefix + String(UInt64.random(in: 0 ... .max), radix: 16)).raw
      let file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
      if file >= 0 { return (folder, file, name) }
      let error = errno
      close(folder)
      guard error == ENOENT || error == EEXIST, attempt < 100 else { throw StoreError(errno: error, action) }
    }
    throw StoreError(.other, "\(action): its folder vanishes again and again")
  }

  private static func write(
    _ content: ObjectContent, to file: Int32, _ sent: (@Sendable (Int64) -> Bool)?, _ action: String
  ) throws(StoreError) {
    try reserve(content.length, in: file, action)
    let digest = Digest.sha256()
    var position: Int64 = 0
    try content.forEachPiece(0..<content.length) { piece throws(StoreError) in
      digest.update(piece)
      try writeAll(piece, to: file, at: position, action)
      position += Int64(piece.count)
      guard sent?(position) ?? true else { throw StoreError(.cancelled, "\(action): it was stopped") }
    }
    guard digest.finish() == content.sha256 else {
      throw StoreError(.changed, "\(action): the content has changed since its digest was taken")
    }
    guard fsync(file) == 0 else { throw StoreError(errno: errno, action) }
  }

  /// From this many bytes on, space is reserved first.
  private static let leastReserved: Int64 = 1 << 20

  /// On a full disk nothing is written that would be removed again: a network would carry it at each
  /// try. Many file systems of networks reserve nothing; then the writing finds out.
  private static func reserve(_ length: Int64, in file: Int32, _ action: String) throws(StoreError) {
    guard length >= leastReserved, cshims_reserve(file, length) != 0 else { return }
    let error = StoreError(errno: errno, action)
    if error.kind == .full { throw error }
  }

  /// Gives the finished file its name; with `createOnly`, only if the name is free.
  private func publish(
    _ temporary: [CChar], _ parts: [String], in folder: Int32, createOnly: Bool, _ action: String
  ) throws(StoreError) {
    let name = parts[parts.count - 1].raw
    if !createOnly {
      guard renameat(folder, temporary, folder, name) == 0 else { throw Self.publishError(errno, action) }
    } else if linkat(folder, temporary, folder, name, 0) == 0 {
      unlinkat(folder, temporary, 0)
    } else if [EPERM, ENOTSUP, ENOSYS, EMLINK].contains(errno) {
      // A file system without hard links.
      guard cshims_rename_noreplace_in(folder, temporary, name) == 0 else { throw Self.publishError(errno, action) }
    } else {
      throw Self.publishError(errno, action)
    }
    try Self.flush(folder, action)
  }

  /// Flushes the names in a folder. Some file systems, such as CIFS, cannot; then the names are on
  /// the disk when the server writes them.
  private static func flush(_ folder: Int32, _ action: String) throws(StoreError) {
    guard fsync(folder) == 0 || [EINVAL, EOPNOTSUPP, ENOSYS].contains(errno) else {
      throw StoreError(errno: errno, action)
    }
  }

  private static func publishError(_ errno: Int32, _ action: String) -> StoreError {
    if errno == EINVAL { return StoreError(.unsupported, "\(action): the file system cannot create without replacing") }
    if errno == EISDIR { return StoreError(.invalid, "\(action): there is a folder with this name") }
    return StoreError(errno: errno, action)
  }

  /// Nil if there is no regular file with this name.
  private func openObject(_ key: String, _ action: String) throws(StoreError) -> (file: Int32, status: stat)? {
    let parts = try ObjectKey.parts(key)
    guard let folder = try open(parts.dropLast(), creates: false, action) else { return nil }
    defer { close(folder) }
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    let file = openat(folder, parts[parts.count - 1].raw, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT || errno == ELOOP { return nil }
      throw StoreError(errno: errno, action)
    }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(file)
      return nil
    }
    return (file, status)
  }

  private static func copy(
    _ file: Int32, _ range: Range<Int64>, _ sink: HTTPSink, _ action: String
  ) throws(StoreError) -> ObjectData {
    let content = ObjectContent(
      descriptor: file, offset: 0, length: range.upperBound, sha256: [UInt8](repeating: 0, count: 32))
    var data = ObjectData(bytes: [], count: 0)
    guard Int64(range.count) <= sink.limit else {
      throw StoreError(.tooLarge, "\(action): it has more than \(sink.limit) bytes")
    }
    try content.forEachPiece(range) { piece throws(StoreError) in
      switch sink {
      case .memory: data.bytes += piece
      case .file(let descriptor, let offset, _): try writeAll(piece, to: descriptor, at: offset + data.count, action)
      }
      data.count += Int64(piece.count)
    }
    return data
  }

  private static func writeAll(
    _ piece: UnsafeRawBufferPointer, to file: Int32, at position: Int64, _ action: String
  ) throws(StoreError) {
    var done = 0
    while done < piece.count {
      let count = pwrite(file, piece.baseAddress! + done, piece.count - done, off_t(position) + done)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw StoreError(errno: errno, action) }
      done += count
    }
  }
}

extension stat {
  /// Milliseconds since the epoch.
  var modifiedMilliseconds: Int64 { Int64(st_mtim.tv_sec) * 1000 + Int64(st_mtim.tv_nsec) / 1_000_000 }
}
