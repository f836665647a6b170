import Glibc
import Names

/// A file or folder in a folder of a store.
struct FolderEntry {
  /// A folder has a `/` at its end, so that entries sort as the keys below them do.
  var name: [UInt8]
  var isFolder: Bool

  /// Whether it is the file of a put that has not ended.
  var isTemporary: Bool { !isFolder && name.starts(with: ObjectKey.temporaryPrefix.utf8) }

  /// For system calls.
  var raw: [CChar] { Self.raw(isFolder ? name.dropLast() : name[...]) }

  /// Regular files and folders, sorted.
  static func all(in folder: Int32) throws(StoreError) -> [FolderEntry] {
    // closedir closes its descriptor, and the position in the folder belongs to the open file.
    let own = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard own >= 0, let stream = fdopendir(own) else {
      throw StoreError(errno: errno, "cannot list a folder of the store")
    }
    defer { closedir(stream) }
    var entries: [FolderEntry] = []
    errno = 0
    while let item = readdir(stream) {
      let name = withUnsafeBytes(of: &item.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      var kind = item.pointee.d_type
      if kind == UInt8(DT_UNKNOWN) { kind = Self.kind(own, name) }
      let isItself = name == Array(".".utf8) || name == Array("..".utf8)
      if !isItself, kind == UInt8(DT_DIR) {
        entries.append(FolderEntry(name: name + [UInt8(ascii: "/")], isFolder: true))
      } else if kind == UInt8(DT_REG) {
        entries.append(FolderEntry(name: name, isFolder: false))
      }
      errno = 0
    }
    guard errno == 0 else { throw StoreError(errno: errno, "cannot list a folder of the store") }
    return entries.sorted { $0.name.lexicographicallyPrecedes($1.name) }
  }

  /// For file systems whose folders do not say the kinds of their entries.
  private static func kind(_ folder: Int32, _ name: [UInt8]) -> UInt8 {
    var status = stat()
    guard fstatat(folder, raw(name[...]), &status, AT_SYMLINK_NOFOLLOW) == 0 else { return 0 }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return UInt8(DT_DIR)
    case S_IFREG: return UInt8(DT_REG)
    default: return 0
    }
  }

  private static func raw(_ name: ArraySlice<UInt8>) -> [CChar] { name.map { CChar(bitPattern: $0) } + [0] }
}
