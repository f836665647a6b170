import BackupEngine
import BackupPolicy

/// The file with the key that encrypts backups: 64 hexadecimal digits and a line's end.
struct KeyFile {
  let path: String
  let files: any FileOperations

  /// Makes the file (0600) with a fresh key, and its folder (0700), flushed to the disk. Returns false where a usable one is
  /// there already: a key is never overwritten, for its backups would be lost with it.
  ///
  /// - Throws: `keyMissing` where something is there that is no key.
  func createUnlessPresent() throws -> Bool {
    if try files.status(path) != nil {
      _ = try Credentials.readKey(path, files)
      return false
    }
    try files.makeFolders(path.parentPath)
    let temporary = "\(path).tmp-new"
    try files.unlink(temporary)
    do {
      try write(temporary)
      // Refuses to replace: another process may have made one since.
      try files.renameNew(temporary, to: path)
    } catch {
      try? files.unlink(temporary)
      throw error
    }
    try files.syncFolder(path.parentPath)
    return true
  }

  private func write(_ temporary: String) throws {
    let file = try files.open(temporary, .createNew)
    defer { files.close(file) }
    var line = try SecretBytes.random(32).hex.utf8.map { $0 } + [UInt8(ascii: "\n")]
    try line.withUnsafeMutableBytes { try files.write(file, UnsafeRawBufferPointer($0), at: 0) }
    try files.sync(file)
  }
}
