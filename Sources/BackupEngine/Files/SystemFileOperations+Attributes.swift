import BackupPolicy
import CShims
import Glibc
import Names

extension SystemFileOperations {
  package func setAttributes(_ file: OpenFile, _ attributes: FileAttributes) throws -> FileAttributes {
    // Before the mode: giving a file away may take bits from it. Whoever may not give it away may still choose among own groups.
    if fchown(file.descriptor, attributes.owner, attributes.group) != 0 {
      guard Self.isRefusal(errno) else { throw HoldfastError(errno: errno, "change the owner of", file.path) }
      if fchown(file.descriptor, .max, attributes.group) != 0, !Self.isRefusal(errno) {
        throw HoldfastError(errno: errno, "change the group of", file.path)
      }
    }
    var status = stat()
    guard fstat(file.descriptor, &status) == 0 else { throw HoldfastError(errno: errno, "stat", file.path) }
    var permissions = attributes.permissions & 0o7777
    if status.st_gid != attributes.group {
      permissions = permissions & ~0o070 | permissions & (permissions & 0o007) << 3
    }
    guard fchmod(file.descriptor, permissions) == 0 else {
      throw HoldfastError(errno: errno, "change the mode of", file.path)
    }
    return FileAttributes(permissions: permissions, owner: status.st_uid, group: status.st_gid)
  }

  package func copyExtendedAttributes(of path: String, to file: OpenFile) throws -> [String] {
    try Self.extendedAttributes(of: path).filter { name in
      guard let value = try Self.value(of: name, path) else { return false }
      let result = value.withUnsafeBytes { cshims_set_attribute(file.descriptor, name, $0.baseAddress, $0.count) }
      guard result != 0 else { return false }
      guard Self.isRefusal(errno) else { throw HoldfastError(errno: errno, "set \(name) of", file.path) }
      return true
    }
  }

  /// This process may not, or this file system cannot.
  static func isRefusal(_ code: Int32) -> Bool {
    [EPERM, EACCES, EINVAL, ENOTSUP, ENOSYS, EROFS].contains(code)
  }

  /// Those that describe the file; not those that describe its content (a signature or a hash of it) or make a program of it.
  private static func extendedAttributes(of path: String) throws -> [String] {
    let kept = ["user.", "trusted.", "system.posix_acl_access", "security.selinux", "security.SMACK64"]
    let names = try lent(path) { cshims_list_attributes(path.raw, $0, $1) } ?? []
    return names.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }.filter { name in
      kept.contains { name == $0 || $0.hasSuffix(".") && name.hasPrefix($0) }
    }
  }

  private static func value(of name: String, _ path: String) throws -> [UInt8]? {
    try lent(path) { cshims_get_attribute(path.raw, name, $0, $1) }
  }

  /// What a call writes into a buffer that it is first asked the size for; nil if there is no such thing.
  private static func lent(_ path: String, _ call: (UnsafeMutablePointer<CChar>?, Int) -> Int) throws -> [UInt8]? {
    while true {
      let size = call(nil, 0)
      guard size > 0 else {
        if size == 0 { return [] }
        if errno == ENODATA || isRefusal(errno) { return nil }
        throw HoldfastError(errno: errno, "read the extended attributes of", path)
      }
      var buffer = [CChar](repeating: 0, count: size)
      let count = call(&buffer, size)
      // It may have grown in between.
      if count < 0, errno == ERANGE { continue }
      return count < 0 ? nil : buffer.prefix(count).map { UInt8(bitPattern: $0) }
    }
  }
}

/// Whom the files belong to that root makes in a folder: the folder's owner, so that a service can use what root leaves there.
struct FolderOwner {
  private let owner: uid_t
  private let group: gid_t

  /// Nil if new files belong to the right user by themselves: this is not root, or the folder is root's.
  init?(of folder: String) throws {
    guard geteuid() == 0 else { return nil }
    var status = stat()
    guard stat(folder.raw, &status) == 0 else { throw HoldfastError(errno: errno, "stat", folder) }
    guard status.st_uid != 0 else { return nil }
    (owner, group) = (status.st_uid, status.st_gid)
  }

  /// - Parameter descriptor: of a file that this process has just made.
  func take(_ descriptor: Int32, _ path: String) throws {
    // A root without this right (a container's) leaves its files as they are.
    guard fchown(descriptor, owner, group) != 0, !SystemFileOperations.isRefusal(errno) else { return }
    throw HoldfastError(errno: errno, "change the owner of", path)
  }

  /// Only an empty folder of root's, under no link: whoever owns the parent may have put something else there.
  func takeNewFolder(_ path: String) throws {
    let descriptor = open(path.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else { throw HoldfastError(errno: errno, "open", path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw HoldfastError(errno: errno, "stat", path) }
    guard status.st_uid == 0, status.st_mode & 0o7777 & ~S_ISGID == 0o700 else { return }
    try take(descriptor, path)
  }
}
