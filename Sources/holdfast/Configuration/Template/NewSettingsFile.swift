import BackupEngine
import BackupPolicy
import Glibc

/// Writes a first `holdfast.toml`. It holds no secrets and the service may run as another user than who makes it, so everybody
/// may read it (0644).
struct NewSettingsFile {
  let path: String
  let files: any FileOperations

  /// Makes the file, and its folder (0700), flushed to the disk. Returns false where there is one already: it is kept as it is.
  func createUnlessPresent(_ template: SettingsTemplate) throws -> Bool {
    guard try files.status(path) == nil else { return false }
    try files.makeFolders(path.parentPath)
    let temporary = "\(path).tmp-new"
    try files.unlink(temporary)
    do {
      let file = try files.open(temporary, .createNew)
      defer { files.close(file) }
      try Array(template.text.utf8).withUnsafeBytes { try files.write(file, $0, at: 0) }
      try files.sync(file)
      if var attributes = try files.status(temporary)?.attributes {
        attributes.permissions = 0o644
        try files.setAttributes(file, attributes)
      }
      // Refuses to replace: another process may have made one since.
      try files.renameNew(temporary, to: path)
    } catch {
      try? files.unlink(temporary)
      throw error
    }
    try files.syncFolder(path.parentPath)
    return true
  }

  /// A path that means the same wherever it is read.
  static func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
    defer { free(folder) }
    return "\(String(cString: folder))/\(path)"
  }
}
